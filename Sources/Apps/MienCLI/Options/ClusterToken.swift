import Glibc

/// The secret that a client shows to the cluster; never printed.
enum ClusterToken {
    static let variable = "MIEN_TOKEN"
    static let fileVariable = "MIEN_TOKEN_FILE"
    private static let byteLimit = 512

    /// The token of the file on the command line, of `MIEN_TOKEN` or of the file that `MIEN_TOKEN_FILE` names; nil when
    /// none is given.
    static func read(file: String?, environment: [String: String]) throws(CommandFailure) -> String? {
        if let file { return try read(file) }
        let token = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        let path = environment[fileVariable].flatMap { $0.isEmpty ? nil : $0 }
        switch (token, path) {
        case (let token?, nil): return token
        case (nil, let path?): return try read(path)
        case (nil, nil): return nil
        case (_?, _?):
            throw CommandFailure(.configuration, "\(variable) and \(fileVariable) are both set; keep one of them")
        }
    }

    private static func read(_ path: String) throws(CommandFailure) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw unreadable(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw CommandFailure(.configuration, "the token file \(path) is not a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw CommandFailure(
                .configuration,
                "the token file \(path) can be read by other users; run: chmod 600 \(path)"
            )
        }
        var bytes = [UInt8](repeating: 0, count: byteLimit + 2)
        let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw unreadable(path) }
        var text = bytes.prefix(count)
        while let last = text.last, last == 0x0A || last == 0x0D { text.removeLast() }
        guard !text.isEmpty, text.count <= byteLimit, text.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw CommandFailure(
                .configuration,
                "the token file \(path) must hold 1 to \(byteLimit) printable characters without spaces in one line"
            )
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func unreadable(_ path: String) -> CommandFailure {
        var failure = CommandFailure.fileSystem("the token file \(path)", "read")
        failure.status = .configuration
        return failure
    }
}
