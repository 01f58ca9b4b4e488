/// Why a backup cannot be written or read. Each names the object: a file of the folder, or a key of the store.
package enum BackupError: Error, Hashable, Sendable {
    /// Something there is not what a backup has in this place.
    case damaged(object: String, reason: String)
    case missing(object: String)
    /// Made by a later version.
    case newerFormat(object: String, version: UInt16, newest: UInt16)
    /// A link, a device, a name that leads elsewhere.
    case notOfABackup(object: String, reason: String)
    /// The disk or the store failed.
    case storeFailed(object: String, reason: String)
    /// Another process uses the place in a way that does not go together with what is wanted.
    case inUse(object: String)
    /// What kept others away has gone, or may have been taken for that of a program that had died.
    case lockLost(object: String)
}

extension BackupError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .damaged(let object, let reason): "\(object) is damaged: \(reason)"
        case .missing(let object): "\(object) is missing"
        case .newerFormat(let object, let version, let newest):
            "\(object) has format \(version) and this program knows up to \(newest); use a newer one"
        case .notOfABackup(let object, let reason): "\(object) is no part of a backup: \(reason)"
        case .storeFailed(let object, let reason): "\(object): \(reason)"
        case .inUse(let object): "\(object) is in use by another backup, restore or prune; wait for its end"
        case .lockLost(let object):
            "\(object) may have been changed by another backup or prune meanwhile: this program stood still, or could "
                + "not reach it, for about a quarter of an hour, or its object below \(BackupName.lockPrefix) was "
                + "removed; run the command again"
        }
    }
}

extension BackupError {
    /// The layout of an object, which its bytes 4 and 5 say. It is read first: a later one may end in another way.
    ///
    /// - Precondition: there are six bytes.
    static func layout(
        of bytes: [UInt8],
        in known: ClosedRange<UInt16>,
        object: String
    ) throws(BackupError) -> UInt16 {
        let layout = UInt16(bytes[4]) | UInt16(bytes[5]) << 8
        guard layout <= known.upperBound else {
            throw .newerFormat(object: object, version: layout, newest: known.upperBound)
        }
        guard layout >= known.lowerBound else {
            throw .damaged(object: object, reason: "there is no layout \(layout)")
        }
        return layout
    }
}
