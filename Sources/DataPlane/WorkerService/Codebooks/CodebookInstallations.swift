import ClusterModel
import FaceModel
import InvertedFileIndex
import PartitionEngine
import PartitionStore
import Synchronization
import WireProtocol

/// The codebooks on their way into this worker's replicas.
final class CodebookInstallations: Sendable {
    private let staging: Mutex<CodebookStaging>

    init(byteLimit: Int) {
        staging = Mutex(CodebookStaging(byteLimit: byteLimit))
    }

    /// Adds a slice: the whole codebook, checked, once it is complete; nil while more must come, or when the replica
    /// has it already.
    func add(_ request: InstallCodebook, to replica: Replica) throws(WireStatus) -> [UInt8]? {
        let (installed, dimension) = try replica.read(.installing(request.epoch)) {
            (partition, _) throws(PartitionError) in
            (try partition.statistics().generation, partition.identity.collection.configuration.dimension)
        }
        if installed >= request.generation { return nil }
        let outcome = try staging.withLock { (staging) throws(WireStatus) in try staging.add(request, now: .now) }
        guard case .complete(let bytes) = outcome else { return nil }
        let codebook: Codebook
        do throws(CodebookError) {
            codebook = try Codebook(bytes: bytes)
        } catch {
            throw Refusal.invalid("\(error)")
        }
        guard codebook.generation == request.generation, codebook.dimension == dimension else {
            throw Refusal.invalid(
                """
                the codebook is of generation \(codebook.generation) and dimension \(codebook.dimension), not \
                \(request.generation) and \(dimension)
                """
            )
        }
        return bytes
    }

    func drop(_ shard: ShardID) {
        staging.withLock { $0.drop(shard) }
    }
}
