import CLibFuzzer
import DecoderFuzzing
import Glibc
import Synchronization

/// libFuzzer, of which a process has one: its callback is a C function and knows its target from here only.
enum Fuzzer {
    private static let target = Mutex<FuzzTarget?>(nil)

    /// Does what the arguments say.
    ///
    /// - Returns: the status to end the process with. A broken promise ends it here, with the input in a file.
    static func run(_ target: FuzzTarget, arguments: [String]) -> Int32 {
        self.target.withLock { $0 = target }
        // For some of what it does libFuzzer starts itself again, by a shell and with this for its name.
        let name = "\(CommandLine.arguments[0]) run \(target.name)"
        // C's strings, never freed: libFuzzer keeps them for the life of the process.
        var strings = unsafe ([name] + arguments).map { unsafe strdup($0) } + [nil]
        var count = Int32(arguments.count + 1)
        return unsafe strings.withUnsafeMutableBufferPointer { strings in
            var first = strings.baseAddress
            return unsafe LLVMFuzzerRunDriver(&count, &first) { data, byteCount in
                unsafe Fuzzer.give(UnsafeBufferPointer(start: data, count: byteCount))
                return 0
            }
        }
    }

    private static func give(_ bytes: UnsafeBufferPointer<UInt8>) {
        _ = unsafe target.withLock { $0 }?.accepts(Array(bytes))
    }
}
