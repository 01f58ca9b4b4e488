import ClusterController
import Glibc
import Testing

struct CodebookFilesTests {
    let folder = TemporaryFolder()
    let bytes = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 131) }

    var files: CodebookFiles { CodebookFiles(directory: folder.path + "/codebooks") }

    @Test func slicesGiveTheBytesBack() throws {
        try files.prepare()
        let digest = try files.store(bytes)
        #expect(digest == CodebookFiles.digest(of: bytes))
        var read: [UInt8] = []
        while true {
            let slice = try files.slice(of: digest, offset: UInt64(read.count), byteCount: 1_000_000)
            if slice.isEmpty { break }
            read += slice
        }
        #expect(read == bytes)
        try files.verify(digest, byteCount: UInt64(bytes.count))
    }

    @Test func theDigestIsSHA256() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        let text = CodebookFiles.digest(of: Array("abc".utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        #expect(text.joined() == known)
    }

    @Test func storingTwiceIsNoError() throws {
        try files.prepare()
        #expect(try files.store(bytes) == files.store(bytes))
    }

    @Test func missingAndDamagedFilesAreFound() throws {
        try files.prepare()
        let digest = CodebookFiles.digest(of: bytes)
        let error = #expect(throws: CodebookFileError.self) { try files.verify(digest, byteCount: 3_000_001) }
        guard case .missing(let path) = error else {
            Issue.record("not reported as missing: \(String(describing: error))")
            return
        }
        _ = try files.store(bytes)
        let file = open(path, O_WRONLY)
        #expect(pwrite(file, [bytes[77] ^ 1], 1, 77) == 1)
        close(file)
        #expect(throws: CodebookFileError.damaged(path: path)) { try files.verify(digest, byteCount: 3_000_001) }
        truncate(path, 1_000_000)
        #expect(throws: CodebookFileError.damaged(path: path)) { try files.verify(digest, byteCount: 3_000_001) }
        _ = try files.store(bytes)
        try files.verify(digest, byteCount: 3_000_001)
    }

    @Test func unnamedCodebooksAndLeavingsAreRemoved() throws {
        try files.prepare()
        let kept = try files.store([1, 2, 3])
        let dropped = try files.store([4, 5, 6])
        close(open(folder.path + "/codebooks/half.codebook.part", O_CREAT | O_WRONLY, 0o600))
        try files.removeAll(except: [kept])
        try files.verify(kept, byteCount: 3)
        #expect(throws: CodebookFileError.self) { try files.verify(dropped, byteCount: 3) }
        #expect(access(folder.path + "/codebooks/half.codebook.part", F_OK) != 0)
    }
}
