import Dispatch
import Foundation
import Glibc
import Testing
import mien

/// Results that cannot be written are not taken for written, and messages hold nobody up.
struct TextOutputTests {
    private struct NoPipe: Error {}

    private func makePipe() throws -> (reader: Int32, writer: Int32) {
        // No signal of a reader that has gone, as in the program.
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw NoPipe() }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    @Test func aFullDiskEndsTheCommandWith74() async throws {
        let disk = open("/dev/full", O_WRONLY | O_CLOEXEC)
        try #require(disk >= 0)
        defer { close(disk) }
        try await ToyCluster.run { _, address in
            for arguments in [["collection", "list", "--coordinator", address], ["import", "--help"]] {
                let results = TextOutput(descriptor: disk, of: .results)
                let result = await mienCommand(arguments, results: results)
                #expect(result.status == 74, "\(result)")
                let reason = "the results could not be written to their end: no space left on device"
                #expect(result.error == "mien: \(reason)\n", "\(result)")
            }
            // Where there are none, what the command says stays.
            let results = TextOutput(descriptor: disk, of: .results)
            let unknown = ["collection", "describe", "nobody", "--coordinator", address]
            let no = await mienCommand(unknown, results: results)
            #expect(no.status == 1 && no.error.split(separator: "\n").count == 1, "\(no)")
        }
    }

    @Test func aPipeThatDoesNotWaitIsWaitedFor() throws {
        let (reader, writer) = try makePipe()
        _ = fcntl(writer, F_SETFL, O_WRONLY | O_NONBLOCK)
        let text = String(repeating: "0123456789", count: 100_000)
        let output = TextOutput(descriptor: writer, of: .results)
        DispatchQueue.global().async {
            output.write(text)
            output.write("the end")
            close(writer)
        }
        let read = try FileHandle(fileDescriptor: reader, closeOnDealloc: true).readToEnd()
        let isWhole = read == Data((text + "the end").utf8)
        #expect(isWhole, "\(read?.count ?? 0) bytes were read")
        #expect(output.failure == nil)
    }

    @Test func aMessageThatNobodyReadsIsDropped() throws {
        let (reader, writer) = try makePipe()
        close(reader)
        defer { close(writer) }
        let output = TextOutput(descriptor: writer, of: .messages)
        output.write("50 % done\n")
        #expect(output.failure == nil)
    }
}
