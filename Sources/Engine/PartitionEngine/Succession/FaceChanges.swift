internal import FaceModel
internal import Synchronization

/// Ids of faces that writes have changed, for who follows a partition. Nothing is gathered while nobody does.
///
/// An id is here after the commit that changed its face is visible to readers, and before the partition tells its
/// sequence. What a commit that failed would have changed is here too: who follows looks at what the face is then.
final class FaceChanges: Sendable {
    private let gathered = Mutex<[Int: Set<FaceID>]>([:])

    func note(_ faces: [FaceID]) {
        guard !faces.isEmpty else { return }
        gathered.withLock { gathered in
            for follower in gathered.keys { gathered[follower]?.formUnion(faces) }
        }
    }

    /// - Returns: the number of the follower.
    func begin() -> Int {
        gathered.withLock { gathered in
            let follower = (gathered.keys.max() ?? 0) + 1
            gathered[follower] = []
            return follower
        }
    }

    func end(_ follower: Int) {
        gathered.withLock { $0[follower] = nil }
    }

    /// What has changed since it was last taken.
    func take(_ follower: Int) -> Set<FaceID> {
        gathered.withLock { gathered in
            guard let faces = gathered[follower], !faces.isEmpty else { return [] }
            gathered[follower] = []
            return faces
        }
    }

    func count(_ follower: Int) -> Int { gathered.withLock { $0[follower]?.count ?? 0 } }
}
