/// The protocol versions this build speaks, and the bytes that mark the protocol.
package enum WireVersion {
    package static let lowest: UInt16 = 1
    package static let highest: UInt16 = 1
    /// First bytes of every `Hello` payload: ASCII "MIEN".
    package static let magic: [UInt8] = [0x4d, 0x49, 0x45, 0x4e]

    /// The highest version both sides speak; nil when there is none.
    package static func agreed(lowest: UInt16, highest: UInt16) -> UInt16? {
        let version = min(highest, Self.highest)
        return version >= lowest && version >= Self.lowest ? version : nil
    }
}
