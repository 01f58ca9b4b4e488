import Foundation

/// What is in a folder, or a file.
enum FolderContent {
    case file(Data)
    case folder([String: FolderContent])

    init(of path: String) throws {
        let manager = FileManager.default
        var isFolder: ObjCBool = false
        guard manager.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw StoryError("there is no \(path)")
        }
        guard isFolder.boolValue else {
            self = .file(try Data(contentsOf: URL(filePath: path)))
            return
        }
        var content: [String: FolderContent] = [:]
        for name in try manager.contentsOfDirectory(atPath: path) {
            content[name] = try FolderContent(of: "\(path)/\(name)")
        }
        self = .folder(content)
    }

    /// Puts it in the place of whatever is in a folder.
    func replace(in path: String) throws {
        guard case .folder(let content) = self else { return try write(to: path) }
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            try FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
        for (name, part) in content { try part.write(to: "\(path)/\(name)") }
    }

    private func write(to path: String) throws {
        switch self {
        case .file(let bytes): try bytes.write(to: URL(filePath: path))
        case .folder(let content):
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            for (name, part) in content { try part.write(to: "\(path)/\(name)") }
        }
    }

    /// Paths of what is not the same here and there.
    func differences(from other: FolderContent, path: String = "") -> [String] {
        switch (self, other) {
        case (.file(let one), .file(let two)): one == two ? [] : [path]
        case (.folder(let one), .folder(let two)):
            Set(one.keys).union(two.keys).sorted().flatMap { name -> [String] in
                guard let first = one[name], let second = two[name] else { return ["\(path)/\(name)"] }
                return first.differences(from: second, path: "\(path)/\(name)")
            }
        default: [path]
        }
    }
}
