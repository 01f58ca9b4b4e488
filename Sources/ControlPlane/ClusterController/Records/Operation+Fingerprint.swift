import ClusterModel
import ClusterState
import Crypto
import FaceModel

extension Operation {
    /// The same for all operations that would do the same to the same replicas, whenever and by whomever they are
    /// begun; never 0. Coordinators agree on it whose builds lay out its record alike; between others a plan is not
    /// known again, and has to be made anew.
    var fingerprint: UInt64 {
        let plain = Operation(
            id: OperationID(high: 0, low: 0),
            kind: kind,
            created: Timestamp(milliseconds: 0),
            steps: steps
        )
        return max(SHA256.hash(data: plain.bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, 1)
    }
}
