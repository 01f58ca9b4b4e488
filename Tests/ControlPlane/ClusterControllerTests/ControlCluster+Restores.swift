import ClusterController
import ClusterModel
import FaceModel
import WireProtocol
import WireTransport

/// The collection "again", which comes with the backup "people-1".
extension ControlCluster {
    func beginRestore(shards: Int) async throws(WireStatus) {
        let request = BeginRestore(
            configuration: Self.configuration("again", shards: shards),
            backup: "people-1",
            epoch: Epoch(1),
            erasureKey: ErasureKey(high: 1, low: 2)
        )
        _ = try await client.call(request, deadline: .after(.seconds(60)))
    }

    /// Sends its codebook.
    ///
    /// - Parameters:
    ///   - range: the bytes that are sent; nil for all of them.
    ///   - digest: what is said of all bytes; nil for what is so.
    func restoreCodebook(
        _ bytes: [UInt8],
        range: Range<Int>? = nil,
        digest: [UInt8]? = nil,
        backup: String = "people-1",
        summary: CollectionDescription.Codebook = .madeUp()
    ) async throws(WireStatus) {
        let range = range ?? bytes.indices
        let request = RestoreCodebook(
            collection: "again",
            backup: backup,
            origin: CodebookOrigin(cause: .growth, faceCount: 1200),
            digest: digest ?? CodebookFiles.digest(of: bytes),
            summary: summary,
            slice: CodebookSlice(
                totalByteCount: UInt64(bytes.count),
                offset: UInt64(range.lowerBound),
                bytes: Array(bytes[range])
            )
        )
        _ = try await client.call(request, deadline: .after(.seconds(60)))
    }
}

extension CollectionDescription.Codebook {
    /// What is said of codebooks that are made up.
    static func madeUp(generation: UInt32 = 1, lists: Int = 9) -> Self {
        Self(
            generation: generation,
            codedDimension: 64,
            codeByteCount: 2,
            listCount: lists,
            energyShare: 0.875,
            sampleCount: 77,
            calibrationProbeCount: 19,
            calibration: [.init(leastSimilarity: 0.5, recall: 0.99, visitedShare: 0.25)]
        )
    }
}
