import EmbeddingFiles
import Glibc
import MienClient

/// How a process ends; documented in `mien --help`. Numbers beyond 1 are those of sysexits.h.
enum ExitStatus: Int32 {
    /// The answer is no, or not all of it was done.
    case no = 1
    case usage = 64
    case badData = 65
    case unavailable = 69
    case internalError = 70
    case fileSystem = 74
    case unauthenticated = 77
    case configuration = 78
}

/// Why a command ends before its time, or ends with a "no".
struct CommandFailure: Error, Equatable {
    var status: ExitStatus
    /// One sentence, or a line for each problem; empty when everything has been said.
    var message: String
    /// Whether what is unavailable may be there later; not where that takes another version of one of the two sides.
    var mayPass = true

    init(_ status: ExitStatus, _ message: String = "") {
        self.status = status
        self.message = message
    }

    init(_ error: MienClientError) {
        status =
            switch error.code {
            case .unavailable, .overloaded, .notYet, .deadlineExceeded, .cancelled, .incompleteCoverage,
                .memoryFull, .incompatibleVersion:
                .unavailable
            case .notFound, .alreadyExists: .no
            case .unauthenticated: .unauthenticated
            case .invalidRequest, .limitExceeded, .modelMismatch, .dimensionMismatch, .keyReused: .badData
            case .keyTooOld: .unavailable
            case .storageFull, .corruptData: .fileSystem
            default: .internalError
            }
        message = CommandWords.translated(error.message)
        mayPass = error.code != .incompatibleVersion
    }

    init(_ error: EmbeddingFileError) {
        status =
            switch error {
            case .cannotOpen, .notARegularFile, .readFailed, .shortened, .writeFailed: .fileSystem
            default: .badData
            }
        message = error.description
    }

    /// A file operation that failed just now.
    static func fileSystem(_ path: String, _ action: String) -> CommandFailure {
        let code = errno
        let reason = unsafe strerror(code).map { unsafe String(cString: $0).lowercased() } ?? "error \(code)"
        return CommandFailure(.fileSystem, "\(path) cannot be \(action): \(reason)")
    }
}

/// Runs a call of the client and gives its failure an exit status.
func calling<Result>(
    _ body: () async throws(MienClientError) -> Result
) async throws(CommandFailure) -> Result {
    do throws(MienClientError) {
        return try await body()
    } catch {
        throw CommandFailure(error)
    }
}

/// Reads or writes a file of embeddings and gives its failure an exit status.
func filing<Result>(_ body: () throws(EmbeddingFileError) -> Result) throws(CommandFailure) -> Result {
    do throws(EmbeddingFileError) {
        return try body()
    } catch {
        throw CommandFailure(error)
    }
}
