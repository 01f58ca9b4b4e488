import ClusterModel
import ShardReplication

/// A copy that a primary keeps for another replica until that has it, or it is of no use any more.
struct OutgoingCopy: Sendable {
    let number: Int
    let image: SimulatedDisk.Image
    /// In which its replica led.
    let epoch: Epoch
}

/// What has come of a copy, on the disk of the replica that it is for, and what the process knows of it.
struct IncomingCopy: Sendable {
    /// Of every copy: faces of one remainder each.
    static let partCount = 8

    let sender: NodeID
    let copy: OutgoingCopy
    /// Parts that have come: the length of its file.
    var received = 0
    /// Parts that a power cut has taken from the file, whose length it left: nothing counts as synced before all is.
    var torn: Set<Int> = []
    /// One of an earlier life of the process is nothing to go on with before its sender offers it.
    var isKnown = true
    /// All of it has come, and is compared with its sender's digest.
    var isWhole = false
    /// It is what its sender has, and waits for the lane to put it into the partition's place. No record beside it says
    /// any more that it is a copy which comes, so that another life of the process removes it.
    var isCompared = false

    init(_ copy: OutgoingCopy, from sender: NodeID) {
        self.copy = copy
        self.sender = sender
    }

    /// What is on disk of the image.
    var present: SimulatedDisk.Image {
        var image = copy.image
        image.faces = image.faces.filter { face, _ in
            let part = face % Self.partCount
            return part < received && !torn.contains(part)
        }
        return image
    }

    /// Another life of the process finds it. The last part is the one that makes it whole.
    mutating func find() {
        isKnown = true
        received = min(received, Self.partCount - 1)
    }
}

/// What a primary sends of a copy.
struct CopySlice: Sendable {
    let shard: ShardID
    let copy: OutgoingCopy
    let from: NodeID
    let to: NodeID
    /// Nil for an offer of the copy, before its first part and whenever its sender does not know how much has come.
    let part: Int?
}

/// What the other replica says to it.
enum CopyAnswer: Hashable, Sendable {
    /// So many parts have come; all of them once the copy has taken its place.
    case standing(Int)
    /// What has come does not reach to this part.
    case outOfOrder
    /// It takes no such copy now.
    case refused
    /// Nothing can come of this copy.
    case useless
}
