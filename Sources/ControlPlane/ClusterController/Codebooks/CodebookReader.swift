package import WireProtocol

/// Reads codebooks, of which the control plane does not know itself what is in them.
package struct CodebookReader: Sendable {
    package typealias Summary = CollectionDescription.Codebook

    /// What people may know of a codebook of that dimension, or why the bytes are none.
    package let read: @Sendable (_ bytes: [UInt8], _ dimension: Int) throws(WireStatus) -> Summary

    package init(read: @escaping @Sendable (_ bytes: [UInt8], _ dimension: Int) throws(WireStatus) -> Summary) {
        self.read = read
    }
}
