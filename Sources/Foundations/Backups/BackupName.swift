package import FaceModel
internal import Glibc

/// Names of backups and of the objects that they consist of, each below the folder or the prefix of the store.
///
/// Nothing in a backup names another object by more than its digest, so that nothing in it can lead elsewhere.
package enum BackupName {
    package static let byteLimit = 128
    private static let manifestFolder = "manifests/"
    private static let blockFolder = "blocks/"

    private static let archiveFolder = "archives/"
    private static let segmentFolder = "segments/"

    package static let manifestPrefix = manifestFolder
    package static let blockPrefix = blockFolder
    package static let archivePrefix = archiveFolder
    package static let segmentPrefix = segmentFolder
    /// Of what says that a program restores, writes or prunes.
    package static let lockPrefix = "locks/"

    /// Such as `people-20261126T231500123Z-3f2a9c1b`: collection, time, and digits that keep two of one second apart.
    ///
    /// - Parameter time: `yyyymmddThhmmssfffZ`.
    package static func make(collection: String, time: String, number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return "\(collection)-\(time)-\(String(repeating: "0", count: 8 - digits.count))\(digits)"
    }

    /// A time as names have it: `yyyymmddThhmmssfffZ`. In order of name is in order of time.
    package static func text(of time: Timestamp) -> String {
        let (seconds, milliseconds) = time.milliseconds.quotientAndRemainder(dividingBy: 1000)
        var clock = time_t(seconds)
        var parts = unsafe tm()
        unsafe gmtime_r(&clock, &parts)
        let date = unsafe [(parts.tm_year + 1900, 4), (parts.tm_mon + 1, 2), (parts.tm_mday, 2)]
        let clockTime = unsafe [(parts.tm_hour, 2), (parts.tm_min, 2), (parts.tm_sec, 2), (Int32(milliseconds), 3)]
        return digits(date) + "T" + digits(clockTime) + "Z"
    }

    private static func digits(_ numbers: [(Int32, Int)]) -> String {
        numbers.map { (number, width) -> String in
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }.joined()
    }

    /// Whether a name is one that ``make(collection:time:number:)`` gives a backup of a collection that was taken then,
    /// with its milliseconds or, as once, without.
    static func isName(_ name: String, ofCollection collection: String, takenAt time: Timestamp) -> Bool {
        guard mayBe(name, ofCollection: collection) else { return false }
        let parts = name.dropFirst(collection.count + 1).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.count == 8, UInt32(parts[1], radix: 16) != nil else { return false }
        let taken = text(of: time)
        return [taken, String(taken.dropLast(4)) + "Z"].contains(String(parts[0]))
    }

    /// Whether a backup of this name may be one of a collection: the rest is what ``make(collection:time:number:)``
    /// adds.
    package static func mayBe(_ name: String, ofCollection collection: String) -> Bool {
        guard name.hasPrefix(collection + "-") else { return false }
        let rest = name.utf8.dropFirst(collection.utf8.count + 1)
        return (25...28).contains(rest.count) && rest.count { $0 == UInt8(ascii: "-") } == 1
    }

    /// Whether a text may be the name of a backup: letters, digits, `_` and `-`.
    package static func isValid(_ name: some StringProtocol) -> Bool {
        let bytes = Array(name.utf8)
        return (1...byteLimit).contains(bytes.count)
            && bytes.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    package static func manifest(of backup: String) -> String { manifestFolder + backup }

    /// The backup whose manifest an object is; nil for another object.
    package static func backup(ofManifest object: String) -> String? {
        guard object.hasPrefix(manifestFolder) else { return nil }
        let name = object.dropFirst(manifestFolder.count)
        return isValid(name) ? String(name) : nil
    }

    package static func block(_ digest: BackupDigest) -> String { object(digest, in: blockFolder) }

    /// The digest that an object is named by; nil for one that is no block.
    package static func digest(ofBlock object: String) -> BackupDigest? { digest(of: object, in: blockFolder) }

    package static func segment(_ digest: BackupDigest) -> String { object(digest, in: segmentFolder) }

    /// The digest that an object is named by; nil for one that is no log segment.
    package static func digest(ofSegment object: String) -> BackupDigest? { digest(of: object, in: segmentFolder) }

    private static func object(_ digest: BackupDigest, in folder: String) -> String {
        let text = digest.description
        return "\(folder)\(text.prefix(2))/\(text)"
    }

    private static func digest(of object: String, in folder: String) -> BackupDigest? {
        guard object.hasPrefix(folder) else { return nil }
        let parts = object.dropFirst(folder.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let digest = BackupDigest(parts[1]), parts[0] == parts[1].prefix(2) else { return nil }
        return digest
    }

    /// One revision of a volume of a collection's archive.
    package struct Volume: Hashable, Comparable, Sendable {
        package var collection: CollectionID
        package var number: UInt32
        package var revision: UInt32
        package var digest: BackupDigest

        package init(collection: CollectionID, number: UInt32, revision: UInt32, digest: BackupDigest) {
            self.collection = collection
            self.number = number
            self.revision = revision
            self.digest = digest
        }

        /// The newest of a collection last. Of two of one revision, which two coordinators wrote at once, any will do.
        package static func < (left: Volume, right: Volume) -> Bool {
            (left.collection, left.number, left.revision, right.digest)
                < (right.collection, right.number, right.revision, left.digest)
        }
    }

    package static func archive(of collection: CollectionID) -> String { "\(archiveFolder)\(collection)/" }

    /// Such as `archives/<collection>/00000003-00000117-<SHA-256>`.
    package static func volume(_ volume: Volume) -> String {
        "\(archive(of: volume.collection))\(padded(volume.number))-\(padded(volume.revision))-\(volume.digest)"
    }

    /// What an object is by its name; nil for one that is no volume.
    package static func volume(of object: String) -> Volume? {
        guard object.hasPrefix(archiveFolder) else { return nil }
        let parts = object.dropFirst(archiveFolder.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let collection = CollectionID(parts[0]), collection.description == parts[0] else {
            return nil
        }
        let fields = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count == 3, let number = UInt32(fields[0]), let revision = UInt32(fields[1]),
            padded(number) == fields[0], padded(revision) == fields[1], let digest = BackupDigest(fields[2])
        else { return nil }
        return Volume(collection: collection, number: number, revision: revision, digest: digest)
    }

    private static func padded(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}
