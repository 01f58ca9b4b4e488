package import ClusterController
package import WireProtocol
package import WorkerService

/// Why a node does not start: one sentence for the person who started it.
package enum NodeStartError: Error, CustomStringConvertible {
    case metadata(MetadataError)
    case worker(WorkerError)
    case listen(WireStatus)
    case tls(reason: String)
    /// The place of the archive is no place.
    case archive(String)

    package var description: String {
        switch self {
        case .metadata(let error): "\(error)"
        case .worker(let error): "\(error)"
        case .listen(let status): status.message
        case .tls(let reason): reason
        case .archive(let reason): reason
        }
    }
}
