import Testing

/// The layers of the architecture, held by the `import` lines: SwiftPM itself lets a target import what its
/// dependencies import.
struct LayerTests {
    private let manifest: Manifest
    private let imports: [(target: Manifest.Target, line: ImportLine)]

    /// Read once for all tests of the suite.
    private static let read = Result {
        let manifest = try Manifest.read()
        let imports = try manifest.targets.flatMap { target in
            try Repository.files(below: [target.path], endingIn: [".swift"])
                .flatMap { ImportLine.all(in: $0) }
                .map { (target: target, line: $0) }
        }
        return (manifest: manifest, imports: imports)
    }

    init() throws { (manifest, imports) = try Self.read.get() }

    @Test func everyTargetHasItsFolderInItsLayer() {
        let offenders = manifest.targets.filter { target in
            let parts = target.path.split(separator: "/").map(String.init)
            let top = target.kind == "testTarget" ? "Tests" : "Sources"
            let isStory = target.kind == "testTarget" && parts.count == 3 && parts[1] == "Integration"
            let isLayered = parts.count == 3 && Self.layers.contains(parts[1]) || isStory
            let isOverall = parts.count == 2 && target.kind == "testTarget"
            return parts.first != top || !(isLayered || isOverall) || Repository.paths(below: target.path).isEmpty
        }
        #expect(!manifest.targets.isEmpty)
        #expect(offenders.map { "\($0.name): \($0.path)" } == [])
    }

    @Test func everyFolderOfSourcesIsATarget() {
        let paths = Set(manifest.targets.map(\.path))
        let folders = Repository.names(in: "Sources").flatMap { layer in
            Repository.names(in: "Sources/\(layer)").map { "Sources/\(layer)/\($0)" }
        }
        #expect(folders.filter { !paths.contains($0) } == [])
    }

    @Test func everyImportIsADeclaredDependency() {
        let offenders = imports.filter { target, line in
            !ImportLine.toolchain.contains(line.module) && line.module != target.name
                && !target.dependencies.contains(line.module)
        }
        #expect(offenders.map { "\($0.line.place): \($0.line.module) is no dependency of \($0.target.name)" } == [])
    }

    @Test func everyDependencyIsImported() {
        let offenders = manifest.targets.filter { $0.kind != "systemLibrary" && !isC($0) }.flatMap { target in
            let imported = Set(imports.filter { $0.target.name == target.name }.map(\.line.module))
            // An executable is a dependency to be built and started, never to be imported.
            let executables = manifest.targets.filter { $0.kind == "executableTarget" }.map(\.name)
            return target.dependencies.subtracting(imported).subtracting(executables).sorted().map {
                "\(target.name): \($0)"
            }
        }
        #expect(offenders == [])
    }

    @Test func layersImportOnlyTheLayersBelowThem() {
        let layerOfTarget = Dictionary(
            manifest.targets.map { ($0.name, layer(of: $0)) },
            uniquingKeysWith: { first, _ in first }
        )
        let offenders = imports.filter { target, line in
            guard target.kind != "testTarget", let own = layer(of: target),
                let other = layerOfTarget[line.module] ?? nil
            else { return false }
            return own != other && !Self.layersBelow[own, default: []].contains(other)
        }
        #expect(offenders.map { "\($0.line.place): \($0.line.module)" } == [])
    }

    @Test func engineAndModelsKnowNothingOfSocketsQueuesAndFoundation() {
        let offenders = imports.filter { target, line in
            isPure(target)
                && (line.module.hasPrefix("NIO") || line.module.hasPrefix("Foundation") || line.module == "Dispatch")
        }
        #expect(offenders.map { "\($0.line.place): \($0.line.module)" } == [])
    }

    @Test func enginesModelsAndStateMachinesAreSynchronous() throws {
        let offenders = try manifest.targets.filter(isPure).flatMap {
            try Repository.files(below: [$0.path], endingIn: [".swift"])
        }
        .flatMap { file in
            file.places { line in
                let code = line.drop { $0 == " " }
                let words = code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                return !code.hasPrefix("//") && (words.contains("async") || words.contains("await"))
            }
        }
        #expect(offenders == [])
    }

    /// They are told the time, so that a simulator can tell them any.
    @Test func plannersAndReplicaMachinesAskNoClock() throws {
        let clocks = ["wallClock", "ContinuousClock", "SuspendingClock", "Glibc"]
        let machines = manifest.targets.filter { ["ClusterState", "ShardReplication"].contains($0.name) }
        #expect(machines.count == 2)
        let offenders = try machines.flatMap { try Repository.files(below: [$0.path], endingIn: [".swift"]) }
            .flatMap { file in
                file.places { line in
                    let code = line.drop { $0 == " " }
                    let words = code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                    return !code.hasPrefix("//") && words.contains { clocks.contains(String($0)) }
                }
            }
        #expect(offenders == [])
    }

    @Test func eachCModuleHasOneSwiftImporter() {
        let offenders = manifest.targets.filter { isC($0) }.compactMap { module -> String? in
            let importers = Set(
                imports.filter { $0.line.module == module.name && $0.target.kind != "testTarget" }.map(\.target.name)
            )
            return importers.count == 1 ? nil : "\(module.name): \(importers.sorted().joined(separator: ", "))"
        }
        #expect(offenders == [])
    }

    @Test func testKitsAreImportedByTestsOnly() {
        let kits = Set(manifest.targets.filter { layer(of: $0) == "Testing" }.map(\.name))
        let offenders = imports.filter { target, line in
            kits.contains(line.module) && target.kind != "testTarget" && layer(of: target) != "Testing"
        }
        #expect(offenders.map { "\($0.line.place): \($0.line.module)" } == [])
    }

    @Test func onlyTheClientLibraryIsPublic() throws {
        let offenders = try manifest.targets.filter { $0.name != "MienClient" && $0.kind != "testTarget" }
            .flatMap { try Repository.files(below: [$0.path], endingIn: [".swift"]) }
            .flatMap { file in
                file.places { line in
                    let words = line.split(separator: " ").drop { $0.hasPrefix("@") }
                    let isOpen = words.first == "open" && ["class", "func", "var"].contains(words.dropFirst().first)
                    return words.first == "public" || isOpen
                }
            }
        #expect(offenders == [])
    }

    private static let layers: Set<String> = Set(layersBelow.keys)

    /// Layer → layers that its targets may import besides their own.
    private static let layersBelow: [String: Set<String>] = [
        "System": [],
        "Foundations": ["System"],
        "Engine": ["Foundations"],
        "Wire": ["Foundations"],
        "ControlPlane": ["Wire", "Foundations"],
        "DataPlane": ["Wire", "Engine", "Foundations"],
        "Clients": ["Wire", "Foundations"],
        "Apps": ["ControlPlane", "DataPlane", "Clients", "Wire", "Engine", "Foundations"],
        "Testing": ["ControlPlane", "DataPlane", "Clients", "Apps", "Wire", "Engine", "Foundations", "System"],
    ]

    private func layer(of target: Manifest.Target) -> String? {
        let parts = target.path.split(separator: "/")
        return parts.count == 3 ? String(parts[1]) : nil
    }

    /// Whether the target is to be free of threads and sockets.
    private func isPure(_ target: Manifest.Target) -> Bool {
        guard target.kind != "testTarget" else { return false }
        return layer(of: target) == "Engine" || ["ClusterState", "FaceModel", "ClusterModel"].contains(target.name)
    }

    private func isC(_ target: Manifest.Target) -> Bool {
        layer(of: target) == "System"
    }
}
