package import Logging

/// What is logged, and in which form.
package struct LogConfiguration: Sendable, Equatable {
    package var level: Logger.Level
    package var format: LogFormat

    init(reading configuration: inout LayeredConfiguration) {
        level = configuration.value(KeyCatalogue.logLevel)
        format = configuration.value(KeyCatalogue.logFormat)
    }
}

/// The form of a log line: for people, or one JSON object for machines.
package enum LogFormat: String, Sendable, CaseIterable {
    case text
    case json
}
