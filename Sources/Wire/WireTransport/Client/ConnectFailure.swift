import ClusterModel
import WireProtocol

/// Why a connection did not come about, and how far it came.
enum ConnectFailure: Error {
    /// The machine is there, and nobody listens at the port.
    case port(WireStatus)
    /// No connection came about, for whatever reason lies on the way to the address or on this side.
    case way(WireStatus)
    /// It was taken, and the hello not answered by one.
    case hello(WireStatus)

    var status: WireStatus {
        switch self {
        case .port(let status), .way(let status), .hello(let status): status
        }
    }

    /// What that tells of a peer which is silent.
    var silenceCause: SilenceCause {
        switch self {
        case .port: .notRunning
        case .way: .unreachable
        case .hello(let status) where status.isOfSilence: .hanging
        case .hello(let status):
            switch status.code {
            case .unavailable: .closed
            // It says that it has connections enough.
            case .overloaded: .answering
            default: .refused
            }
        }
    }
}
