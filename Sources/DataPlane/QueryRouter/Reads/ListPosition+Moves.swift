import ClusterModel
import FaceModel
import WireProtocol

/// How a listing gets on: in one piece of the ring at a time, which lies in one shard and of which faces have been
/// listed up to one id. Wherever shards begin and end by then, a face is listed once if it is there all the time.
extension ListPosition {
    /// The piece to go on with, in a shard that has the place ``first``.
    func piece(in range: HashRange) -> HashRange {
        HashRange(first: first, last: min(range.last, stretches.first?.last ?? .max))
    }

    /// The id behind which it goes on there; nil for all.
    var face: FaceID? { stretches.first?.face }

    /// Faces of the piece have been listed, this one last.
    mutating func listed(_ face: FaceID, of piece: HashRange) {
        if stretches.first?.last == piece.last {
            stretches[0].face = face
        } else {
            stretches.insert(Stretch(last: piece.last, face: face), at: 0)
        }
    }

    /// All of the piece has been listed.
    ///
    /// - Returns: false when the ring ends with it.
    mutating func pass(_ piece: HashRange) -> Bool {
        if stretches.first?.last == piece.last { stretches.removeFirst() }
        guard piece.last < .max else { return false }
        first = piece.last + 1
        return true
    }
}
