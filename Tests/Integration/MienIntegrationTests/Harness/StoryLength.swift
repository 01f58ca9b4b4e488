import Foundation

/// How long a story is: briefly with every build, at length where a variable of the environment says so.
enum StoryLength {
    /// - Parameter count: of a story that nobody asked to be longer.
    static func named(_ variable: String, or count: Int) -> Int {
        ProcessInfo.processInfo.environment[variable].flatMap(Int.init) ?? count
    }
}
