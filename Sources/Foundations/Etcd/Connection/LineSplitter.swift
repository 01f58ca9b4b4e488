package import NIOCore

/// Cuts a stream of bytes into lines.
package struct LineSplitter {
    /// Longest line taken; etcd sends what one commit changed in one line.
    package static let byteLimit = 16 << 20

    private var pending: [UInt8] = []

    package init() {}

    /// The lines that end in this part, without their ends; nil when one is longer than the limit.
    package mutating func lines(of part: ByteBuffer) -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        for piece in part.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            lines.append(pending + piece)
            pending = []
        }
        // What follows the last line end is not whole yet.
        pending = lines.removeLast()
        return pending.count <= Self.byteLimit ? lines.filter { !$0.isEmpty } : nil
    }
}
