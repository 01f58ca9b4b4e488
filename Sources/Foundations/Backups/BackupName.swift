/// Names of backups and of the objects that they consist of, each below the folder or the prefix of the store.
///
/// Nothing in a backup names another object by more than its digest, so that nothing in it can lead elsewhere.
package enum BackupName {
    package static let byteLimit = 128
    private static let manifestFolder = "manifests/"
    private static let blockFolder = "blocks/"

    package static let manifestPrefix = manifestFolder
    package static let blockPrefix = blockFolder

    /// Such as `people-20261126T231500123Z-3f2a9c1b`: collection, time, and digits that keep two of one second apart.
    ///
    /// - Parameter time: `yyyymmddThhmmssfffZ`.
    package static func make(collection: String, time: String, number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return "\(collection)-\(time)-\(String(repeating: "0", count: 8 - digits.count))\(digits)"
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

    package static func block(_ digest: BackupDigest) -> String {
        let text = digest.description
        return "\(blockFolder)\(text.prefix(2))/\(text)"
    }

    /// The digest that an object is named by; nil for one that is no block.
    package static func digest(ofBlock object: String) -> BackupDigest? {
        let parts = object.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "blocks", let digest = BackupDigest(parts[2]),
            parts[1] == parts[2].prefix(2)
        else { return nil }
        return digest
    }
}
