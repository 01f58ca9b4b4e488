import ArgumentParser
import EmbeddingFiles
import FaceModel
import MienClient

/// Reads arguments as values of the client; what is wrong is told in one sentence.
enum ArgumentText {
    @Sendable static func address(_ text: String) throws -> MienClient.Address {
        guard let address = MienClient.Address(text) else {
            throw ValidationError("'\(text)' is no address; write host:port, such as 127.0.0.1:7400.")
        }
        return address
    }

    /// - Throws: what to write instead of a number that no shard has.
    static func checkShards(_ shards: [Int]) throws {
        guard shards.allSatisfy({ $0 >= 0 }) else { throw ValidationError("Shards are numbered from 0.") }
    }

    /// - Parameter least: that must have a write; nil for the usual number.
    /// - Throws: what to write instead of numbers of copies that no collection has.
    static func checkCopies(_ copies: Int, least: Int?) throws {
        let range = CollectionConfiguration.replicationFactorRange
        guard range.contains(copies) else {
            throw ValidationError("--copies must be from \(range.lowerBound) to \(range.upperBound).")
        }
        if let least, !(1...copies).contains(least) {
            throw ValidationError("--min-copies must be from 1 to the \(copies) there are.")
        }
    }

    @Sendable static func faceID(_ text: String) throws -> Face.ID {
        guard let id = Face.ID(text) else {
            throw ValidationError("'\(text)' is no face id; ids are UUIDs, as 'mien face list' shows them.")
        }
        return id
    }

    @Sendable static func effort(_ text: String) throws -> SearchOptions.Effort {
        guard let effort = SearchOptions.Effort(text) else {
            throw ValidationError("'\(text)' is no effort; use exact, full, lists:N or recall:R.")
        }
        return effort
    }

    /// A date stands for its beginning, in UTC.
    @Sendable static func time(_ text: String) throws -> Face.Timestamp {
        let isDate = text.utf8.count == 10
        guard let milliseconds = TimestampText.milliseconds(rfc3339: isDate ? "\(text)T00:00:00Z" : text) else {
            throw ValidationError("'\(text)' is no time; write 2026-01-31 or 2026-01-31T09:30:00Z.")
        }
        return Face.Timestamp(millisecondsSince1970: milliseconds)
    }

    /// What is before and behind the first '='.
    @Sendable static func attribute(_ text: String) throws -> (key: String, value: String) {
        guard let separator = text.firstIndex(of: "="), separator > text.startIndex else {
            throw ValidationError("'\(text)' is no attribute; write key=value.")
        }
        return (String(text[..<separator]), String(text[text.index(after: separator)...]))
    }

    /// For commands that search a partition of their own.
    @Sendable static func partitionEffort(_ text: String) throws -> SearchEffort {
        guard let effort = SearchEffort(text) else {
            throw ValidationError("'\(text)' is no effort; use exact, full, lists:N or recall:R.")
        }
        return effort
    }

    @Sendable static func precision(_ text: String) throws -> CollectionOptions.Precision {
        guard let precision = CollectionOptions.Precision(rawValue: text) else {
            throw ValidationError("'\(text)' is no precision; use float16 or float32.")
        }
        return precision
    }
}
