import WireProtocol

/// The faces found among those that were asked for, in the order asked; absent ones are left out.
public struct FoundFaces: RandomAccessCollection, Sendable {
    private let faces: [Face]
    /// Faces of the collection were given up when every copy of theirs was lost, and nobody has said that they are
    /// back; or may have been, as far as a coordinator knows that is cut off from the metadata store. An absent face
    /// may be one of them.
    public let hasLoss: Bool

    public var startIndex: Int { faces.startIndex }
    public var endIndex: Int { faces.endIndex }

    init(_ list: FaceList) {
        faces = list.faces.map(Face.init)
        hasLoss = list.hasLoss
    }

    public subscript(position: Int) -> Face { faces[position] }
}
