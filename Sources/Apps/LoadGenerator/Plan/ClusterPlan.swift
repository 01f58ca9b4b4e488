/// The cluster that a load starts for itself: `workers=3,worker.search_threads=1`.
package struct ClusterPlan: Sendable, Equatable {
    package static let example = "workers=3,worker.search_threads=1"

    package private(set) var workerCount = 3
    /// Keys and values of the configuration of each role.
    package private(set) var coordinatorSettings: [String] = []
    package private(set) var workerSettings: [String] = []

    package init(_ text: String) throws(LoadTextError) {
        for (key, value) in try LoadText.pairs(text, what: "the cluster", example: Self.example) {
            if key == "workers" {
                guard let count = Int(value), (1...64).contains(count) else {
                    throw LoadTextError("workers must be from 1 to 64, not '\(value)'")
                }
                workerCount = count
            } else if key.hasPrefix("worker.") {
                workerSettings.append("\(key)=\(value)")
            } else if key.hasPrefix("coordinator.") {
                coordinatorSettings.append("\(key)=\(value)")
            } else {
                throw LoadTextError(
                    "'\(key)' is no part of the cluster; there are workers, and keys of the configuration that begin "
                        + "with worker. or coordinator."
                )
            }
        }
    }
}
