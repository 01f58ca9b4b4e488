import Logging
import NodeConfiguration
import Synchronization

/// The process's log: lines on standard error, for people or as JSON.
enum NodeLog {
    private static let isBootstrapped = Mutex(false)

    static func start(_ configuration: LogConfiguration) -> Logger {
        let isFirst = isBootstrapped.withLock { isBootstrapped in
            defer { isBootstrapped = true }
            return !isBootstrapped
        }
        if isFirst {
            LoggingSystem.bootstrap { label in
                switch configuration.format {
                case .text: StreamLogHandler.standardError(label: label)
                case .json: JSONLogHandler(label: label)
                }
            }
        }
        var logger = Logger(label: "mien")
        logger.logLevel = configuration.level
        return logger
    }
}
