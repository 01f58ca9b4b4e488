import Testing

/// The reader of the manifest is checked too: a rule over a manifest misread would hold for nothing.
struct ManifestTests {
    @Test func targetsAndTheirDependenciesAreRead() {
        let manifest = Manifest(
            text: """
                let package = Package(
                    products: [.library(name: "A", targets: ["A"])],
                    dependencies: [.package(url: "https://example.org/swift-x", from: "1.0.0")],
                    targets: [
                        // MARK: - System
                        .systemLibrary(name: "CA", path: "Sources/System/CA", providers: [.apt(["liba-dev"])]),
                        .target(
                            name: "A",  // first "B"
                            dependencies: [.target(name: "CA"), .product(name: "X", package: "swift-x")],
                            path: "Sources/Foundations/A"),
                        .executableTarget(name: "tool", dependencies: ["A", .byName(name: "CA")], path: "Sources/T/T"),
                        .testTarget(name: "TidyTests"),
                    ]
                )
                """
        )
        let read = manifest.targets.map { "\($0.kind) \($0.name) \($0.path) \($0.dependencies.sorted())" }.sorted()
        #expect(
            read == [
                "executableTarget tool Sources/T/T [\"A\", \"CA\"]",
                "systemLibrary CA Sources/System/CA []",
                "target A Sources/Foundations/A [\"CA\", \"X\"]",
                "testTarget TidyTests Tests/TidyTests []",
            ]
        )
    }

    @Test func importsOfEveryShapeAreRead() {
        let file = Repository.File(
            path: "f.swift",
            text: "import A\npackage import B\n@preconcurrency import struct C.D\n// import E\nlet important = 1\n"
        )
        #expect(
            ImportLine.all(in: file).map { "\($0.module) \($0.place)" } == [
                "A f.swift:1", "B f.swift:2", "C f.swift:3",
            ]
        )
    }
}
