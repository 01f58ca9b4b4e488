/// Where a value came from; the start of each line of a `NodeConfigurationError`.
package enum ConfigurationPlace: Sendable, Hashable, CustomStringConvertible {
    /// Lines count from 1.
    case file(path: String, line: Int)
    case environment(name: String)
    case commandLine
    case builtIn

    package var description: String {
        switch self {
        case .file(let path, let line): "\(path):\(line)"
        case .environment(let name): name
        case .commandLine: "command line"
        case .builtIn: "default"
        }
    }

    /// File places by line, then the environment by name, then the command line.
    static func precedes(_ lhs: ConfigurationPlace, _ rhs: ConfigurationPlace) -> Bool {
        switch (lhs, rhs) {
        case (.file(_, let left), .file(_, let right)): left < right
        case (.environment(let left), .environment(let right)): left < right
        default: lhs.order < rhs.order
        }
    }

    private var order: Int {
        switch self {
        case .file: 0
        case .environment: 1
        case .commandLine: 2
        case .builtIn: 3
        }
    }
}
