import Checksum
import ClusterModel
import ClusterState
import FaceModel

extension Operation {
    /// The same for all operations that would do the same to the same replicas, whenever and by whomever they are
    /// begun; never 0. Coordinators of all builds with one layout of its record agree on it.
    var fingerprint: UInt64 {
        let plain = Operation(
            id: OperationID(high: 0, low: 0),
            kind: kind,
            created: Timestamp(milliseconds: 0),
            steps: steps
        )
        let hash = SipHash.hash64(key: (0, 0)) { hash in
            var (word, count) = (UInt64(0), 0)
            for byte in plain.bytes {
                word |= UInt64(byte) << (8 * UInt64(count % 8))
                count += 1
                if count % 8 == 0 {
                    hash.add(word)
                    word = 0
                }
            }
            hash.add(word)
        }
        return max(hash, 1)
    }
}
