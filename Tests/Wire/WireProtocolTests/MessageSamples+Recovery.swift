import ClusterModel
import WireProtocol

extension MessageSamples {
    static let confirmation = AcceptRecord.Confirmation(storedVersion: 7, primary: nodeID, sequence: 41)
}
