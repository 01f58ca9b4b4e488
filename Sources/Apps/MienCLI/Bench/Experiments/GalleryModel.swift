import ArgumentParser
import SyntheticGallery

/// A kind of gallery that experiments are made on.
enum GalleryModel: String, CaseIterable, ExpressibleByArgument {
    case wild
    case mugshot
    case surveillance
    /// Images as those of `wild`, of embeddings of effective dimension 40.
    case lowdim

    func gallery(faceCount: Int, seed: UInt64) throws(CommandFailure) -> SyntheticGallery {
        let parameters = GalleryParameters(
            faceCount: faceCount,
            dimension: IndexBench.dimension,
            effectiveDimension: self == .lowdim ? 40 : nil,
            profile: GalleryProfile(rawValue: rawValue) ?? .wild,
            seed: seed
        )
        do {
            return try SyntheticGallery(parameters)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
    }
}
