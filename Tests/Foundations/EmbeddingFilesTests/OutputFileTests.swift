import EmbeddingFiles
import Glibc
import Testing

struct OutputFileTests {
    /// Of files that the kernel makes up none is durable, be they regular or not.
    @Test func whatCannotBeMadeDurableFailsWhereItIsARegularFile() {
        // Nothing is written, and so nothing changed.
        let path = "/proc/self/comm"
        let refused = failure { try OutputFile(path: path).finish() }
        #expect(refused == .writeFailed(path: path, errno: EINVAL))
        let passed = failure { try OutputFile(path: "/dev/null").finish() }
        #expect(passed == nil)
    }
}
