import FaceModel
package import MienClient
package import SyntheticGallery

/// The faces that a load works with: all that can be known of each follows from its number and the seed.
///
/// Numbers below ``filledCount`` are the faces that a fill enrols, each with the image of its own number. Images from
/// there on are for the writes of a run: a new face has the number of its first image, and a face that is there may be
/// given a later image, with the person whom that shows.
package struct LoadPopulation: Sendable {
    /// Faces that a fill enrols: the collection at rest.
    package let filledCount: Int
    /// Images there are, for the fill and for the writes of a run.
    package let imageCount: Int
    /// Knows of the filled faces only, so that every mated probe has its mate among them.
    private let filled: SyntheticGallery
    private let all: SyntheticGallery

    /// - Parameter writeCount: images for the writes of a run.
    package init(_ parameters: GalleryParameters, writeCount: Int = 0) throws(GalleryError) {
        filled = try SyntheticGallery(parameters)
        filledCount = parameters.faceCount
        if writeCount > 0 {
            var larger = parameters
            larger.faceCount += writeCount
            all = try SyntheticGallery(larger)
        } else {
            all = filled
        }
        imageCount = all.faceCount
    }

    package var dimension: Int { filled.parameters.dimension }

    package func faceID(_ face: Int) -> Face.ID {
        let id = all.faceID(face)
        return Face.ID(high: id.high, low: id.low)
    }

    /// `[images.count × dimension]`, unit rows; cheapest for ranges that begin at multiples of 128.
    package func embeddings(of images: Range<Int>) -> [Float] { all.faces(in: images) }

    /// What a face is enrolled with when it has this image. Images of a run have names, so that a face tells which of
    /// them it has.
    package func metadata(ofImage image: Int) -> Face.Metadata {
        Face.Metadata(
            personID: SyntheticGallery.personID(all.faceInfo(image).identity),
            imageID: image < filledCount ? nil : Self.imageName(image)
        )
    }

    /// The first block of 128 images that holds none of the fill.
    var firstWriteBlock: Int {
        (filledCount + ImageStock.blockImageCount - 1) / ImageStock.blockImageCount
    }

    /// `[probes.count × dimension]`: images that are in no collection, most of them of filled faces' persons.
    func probes(in probes: Range<Int>) -> [Float] { filled.probes(in: probes) }

    func probeTruth(_ probe: Int) -> ProbePool.Truth {
        let info = filled.probeInfo(probe)
        return ProbePool.Truth(person: info.identity.map(SyntheticGallery.personID), mates: info.mates)
    }

    /// The filled face of an id and the person it is enrolled under; nil when no filled face is both.
    func filledFace(_ id: Face.ID, person: String?) -> Int? {
        guard let identity = person.flatMap(SyntheticGallery.identity), identity < filled.identityCount else {
            return nil
        }
        return filled.faces(ofIdentity: identity).first { faceID($0) == id }
    }

    private static let imageNamePrefix = "image-"

    package static func imageName(_ image: Int) -> String { imageNamePrefix + "\(image)" }

    /// The image whose name a face's metadata holds; nil for none, which is the face's own.
    package static func image(named name: String?) -> Int? {
        guard let name, name.hasPrefix(imageNamePrefix) else { return nil }
        return Int(name.dropFirst(imageNamePrefix.count))
    }
}
