import ClusterModel
import ClusterState
import Crypto
import FaceModel

extension Operation {
    /// The same for all operations that would do the same to the same replicas, whenever and by whomever they are
    /// begun; never 0. Coordinators agree on it whose builds lay out its record alike; between others a plan is not
    /// known again, and has to be made anew.
    ///
    /// A recommission has no steps: what it takes back, the worker's standing and its open drains, stands for them.
    ///
    /// - Parameter metadata: before it has begun.
    func fingerprint(in metadata: ClusterMetadata) -> UInt64 {
        let plain = Operation(
            id: OperationID(high: 0, low: 0),
            kind: kind,
            created: Timestamp(milliseconds: 0),
            steps: steps
        )
        var bytes = plain.bytes
        if case .recommission(let worker) = kind {
            bytes.append(metadata.standing(of: worker).rawValue)
            for drain in metadata.openOperations where drain.drainedWorker == worker {
                bytes += drain.id.high.bigEndianBytes + drain.id.low.bigEndianBytes
            }
        }
        return max(SHA256.hash(data: bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, 1)
    }
}
