import Backups
import FaceModel
import InvertedFileIndex
import MienClient
import WireProtocol

/// The codebook of a collection in its backup.
enum CodebookBackup {
    /// What a manifest says of a codebook.
    static func entry(of copy: MienClient.CodebookCopy, _ digest: BackupDigest) -> BackupManifest.Codebook {
        BackupManifest.Codebook(
            generation: copy.summary.generation,
            origin: copy.origin,
            byteCount: UInt32(copy.bytes.count),
            digest: digest,
            codedDimension: UInt32(clamping: copy.summary.codedDimension),
            codeByteCount: UInt32(clamping: copy.summary.codeByteCount),
            listCount: UInt32(clamping: copy.summary.listCount),
            sampleCount: copy.summary.sampleCount,
            calibrationProbeCount: copy.summary.calibrationProbeCount,
            energyShare: copy.summary.energyShare,
            calibration: copy.summary.calibration
        )
    }

    static func copy(of entry: BackupManifest.Codebook, _ bytes: [UInt8]) -> MienClient.CodebookCopy {
        MienClient.CodebookCopy(
            origin: entry.origin,
            summary: CollectionDescription.Codebook(
                generation: entry.generation,
                codedDimension: Int(entry.codedDimension),
                codeByteCount: Int(entry.codeByteCount),
                listCount: Int(entry.listCount),
                energyShare: entry.energyShare,
                sampleCount: entry.sampleCount,
                calibrationProbeCount: entry.calibrationProbeCount,
                calibration: entry.calibration
            ),
            bytes: bytes
        )
    }

    /// The codebook's bytes, which are one of the collection's dimension.
    static func read(
        _ entry: BackupManifest.Codebook,
        of manifest: BackupManifest,
        in store: any BackupStore
    ) async throws(BackupError) -> [UInt8] {
        let bytes = try await store.bytes(of: entry)
        let object = store.path(of: BackupName.block(entry.digest))
        let codebook: Codebook
        do throws(CodebookError) {
            codebook = try Codebook(bytes: bytes)
        } catch {
            throw .damaged(object: object, reason: "\(error)")
        }
        guard codebook.generation == entry.generation,
            codebook.dimension == manifest.collection.configuration.dimension
        else { throw .damaged(object: object, reason: "it is another codebook than the manifest says") }
        return bytes
    }
}
