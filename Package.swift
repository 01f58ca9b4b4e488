// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
/// Where libFuzzer is, when `deploy/fuzz` builds: then Mien's own code counts the branches that an input takes, and
/// AddressSanitizer watches what it reads. No other build knows of it.
let fuzzer = Context.environment["MIEN_FUZZ"]
let watched: [SwiftSetting] = fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer,address"])]
let watchedC: [CSetting] = fuzzer == nil ? [] : [.unsafeFlags(["-fsanitize=address"])]
let memorySafe = strict + [.strictMemorySafety()] + watched

let package = Package(
    name: "mien",
    products: [
        .executable(name: "mien", targets: ["mien"]),
        .library(name: "MienClient", targets: ["MienClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // MARK: System
        .systemLibrary(
            name: "CLMDB",
            path: "Sources/System/CLMDB",
            pkgConfig: "lmdb",
            providers: [.apt(["liblmdb-dev"])]
        ),
        .systemLibrary(
            name: "COpenBLAS",
            path: "Sources/System/COpenBLAS",
            pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]
        ),
        .target(name: "CChecksum", path: "Sources/System/CChecksum", cSettings: watchedC),
        .target(name: "CVectorKernels", path: "Sources/System/CVectorKernels", cSettings: watchedC),

        // MARK: Foundations
        .target(name: "BinaryCoding", path: "Sources/Foundations/BinaryCoding", swiftSettings: memorySafe),
        .target(
            name: "Checksum",
            dependencies: ["CChecksum"],
            path: "Sources/Foundations/Checksum",
            swiftSettings: memorySafe
        ),
        .target(
            name: "LMDB",
            dependencies: ["CLMDB", "Threads"],
            path: "Sources/Foundations/LMDB",
            swiftSettings: memorySafe
        ),
        .target(
            name: "Etcd",
            dependencies: [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Sources/Foundations/Etcd",
            swiftSettings: memorySafe
        ),
        .target(
            name: "VectorMath",
            dependencies: ["COpenBLAS", "CVectorKernels"],
            path: "Sources/Foundations/VectorMath",
            swiftSettings: memorySafe
        ),
        .target(name: "FaceModel", path: "Sources/Foundations/FaceModel", swiftSettings: memorySafe),
        .target(
            name: "ClusterModel",
            dependencies: ["Checksum", "FaceModel"],
            path: "Sources/Foundations/ClusterModel",
            swiftSettings: memorySafe
        ),
        .target(
            name: "FaceRecords",
            dependencies: ["BinaryCoding", "Checksum", "FaceModel"],
            path: "Sources/Foundations/FaceRecords",
            swiftSettings: memorySafe
        ),
        .target(
            name: "Backups",
            dependencies: [
                "BinaryCoding", "Checksum", "ClusterModel", "FaceModel", "FaceRecords", "Threads",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            path: "Sources/Foundations/Backups",
            swiftSettings: memorySafe
        ),
        .target(
            name: "ObjectStore",
            dependencies: [
                "Backups", "ClusterModel", "FaceModel",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Sources/Foundations/ObjectStore",
            swiftSettings: memorySafe
        ),
        .target(name: "Threads", path: "Sources/Foundations/Threads", swiftSettings: memorySafe),
        .target(
            name: "EmbeddingFiles",
            dependencies: ["FaceModel"],
            path: "Sources/Foundations/EmbeddingFiles",
            swiftSettings: memorySafe
        ),
        .target(name: "ReportPage", path: "Sources/Foundations/ReportPage", swiftSettings: memorySafe),
        .target(
            name: "SyntheticGallery",
            dependencies: ["EmbeddingFiles", "FaceModel", "VectorMath"],
            path: "Sources/Foundations/SyntheticGallery",
            swiftSettings: memorySafe
        ),
        .target(
            name: "Observability",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Sources/Foundations/Observability",
            swiftSettings: memorySafe
        ),

        // MARK: Engine
        .target(
            name: "InvertedFileIndex",
            dependencies: ["BinaryCoding", "Checksum", "FaceModel", "VectorMath"],
            path: "Sources/Engine/InvertedFileIndex",
            swiftSettings: memorySafe
        ),
        .target(
            name: "PartitionStore",
            dependencies: ["BinaryCoding", "Checksum", "FaceModel", "FaceRecords", "LMDB", "VectorMath"],
            path: "Sources/Engine/PartitionStore",
            swiftSettings: memorySafe
        ),
        .target(
            name: "PartitionEngine",
            dependencies: [
                "BinaryCoding", "Checksum", "FaceModel", "FaceRecords", "InvertedFileIndex", "LMDB", "PartitionStore",
                "Threads", "VectorMath",
            ],
            path: "Sources/Engine/PartitionEngine",
            swiftSettings: memorySafe
        ),

        // MARK: Wire
        .target(
            name: "WireProtocol",
            dependencies: ["Checksum", "ClusterModel", "FaceModel", .product(name: "NIOCore", package: "swift-nio")],
            path: "Sources/Wire/WireProtocol",
            swiftSettings: memorySafe
        ),
        .target(
            name: "WireTransport",
            dependencies: [
                "ClusterModel", "Observability", "WireProtocol",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Sources/Wire/WireTransport",
            swiftSettings: memorySafe
        ),

        // MARK: ControlPlane
        .target(
            name: "ClusterState",
            dependencies: ["ClusterModel", "FaceModel"],
            path: "Sources/ControlPlane/ClusterState",
            swiftSettings: memorySafe
        ),
        .target(
            name: "ClusterController",
            dependencies: [
                "BinaryCoding", "Checksum", "ClusterModel", "ClusterState", "Etcd", "FaceModel", "LMDB",
                "Observability", "WireProtocol", "WireTransport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Sources/ControlPlane/ClusterController",
            swiftSettings: memorySafe
        ),

        // MARK: DataPlane
        .target(
            name: "ShardReplication",
            dependencies: ["ClusterModel"],
            path: "Sources/DataPlane/ShardReplication",
            swiftSettings: memorySafe
        ),
        .target(
            name: "QueryRouter",
            dependencies: [
                "Backups", "Checksum", "ClusterModel", "FaceModel", "Observability", "Threads", "VectorMath",
                "WireProtocol", "WireTransport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Sources/DataPlane/QueryRouter",
            swiftSettings: memorySafe
        ),
        .target(
            name: "WorkerService",
            dependencies: [
                "Checksum", "ClusterModel", "FaceModel", "InvertedFileIndex", "Observability", "PartitionEngine",
                "PartitionStore", "ShardReplication", "Threads", "VectorMath", "WireProtocol", "WireTransport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources/DataPlane/WorkerService",
            swiftSettings: memorySafe
        ),

        // MARK: Clients
        .target(
            name: "MienClient",
            dependencies: [
                "ClusterModel", "FaceModel", "WireProtocol", "WireTransport",
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Sources/Clients/MienClient",
            swiftSettings: memorySafe
        ),

        .target(
            name: "BiometricEvaluation",
            dependencies: ["FaceModel"],
            path: "Sources/Clients/BiometricEvaluation",
            swiftSettings: memorySafe
        ),

        // MARK: Apps
        .target(
            name: "NodeConfiguration",
            dependencies: [
                "VectorMath",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            path: "Sources/Apps/NodeConfiguration",
            swiftSettings: memorySafe
        ),
        .target(
            name: "NodeServer",
            dependencies: [
                "Backups", "ClusterController", "ClusterModel", "ClusterState", "Etcd", "NodeConfiguration",
                "ObjectStore", "Observability", "PartitionEngine", "QueryRouter", "VectorMath", "WireProtocol",
                "WireTransport", "WorkerService",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Apps/NodeServer",
            swiftSettings: memorySafe
        ),
        .target(
            name: "LoadGenerator",
            dependencies: [
                "EmbeddingFiles", "FaceModel", "MienClient", "ReportPage", "SyntheticGallery", "Threads", "VectorMath",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "Sources/Apps/LoadGenerator",
            swiftSettings: memorySafe
        ),
        .executableTarget(
            name: "mien",
            dependencies: [
                "Backups", "BiometricEvaluation", "Checksum", "ClusterModel", "ClusterState", "EmbeddingFiles",
                "FaceModel", "FaceRecords", "InvertedFileIndex", "LMDB", "LoadGenerator", "MienClient",
                "NodeConfiguration",
                "NodeServer", "ObjectStore", "PartitionEngine", "ReportPage", "SyntheticGallery", "Threads",
                "VectorMath", "WireProtocol",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Sources/Apps/MienCLI",
            swiftSettings: memorySafe
        ),

        // MARK: Testing
        .target(
            name: "ClusterSimulator",
            dependencies: [
                "ClusterModel", "ClusterState", "FaceModel", "MienClient", "QueryRouter", "ShardReplication",
                "VectorMath", "WireProtocol",
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Sources/Testing/ClusterSimulator",
            swiftSettings: memorySafe
        ),
        .executableTarget(
            name: "mien-simulator",
            dependencies: [
                "ClusterSimulator", "ShardReplication", "Threads",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Testing/SimulatorCLI",
            swiftSettings: memorySafe
        ),
        .target(
            name: "DecoderFuzzing",
            dependencies: [
                "Backups", "BinaryCoding", "Checksum", "ClusterController", "ClusterModel", "ClusterState",
                "EmbeddingFiles", "Etcd", "FaceModel", "InvertedFileIndex", "LoadGenerator", "NodeConfiguration",
                "NodeServer", "ObjectStore", "Observability", "PartitionStore", "VectorMath", "WireProtocol",
                "WorkerService", .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Sources/Testing/DecoderFuzzing",
            swiftSettings: memorySafe
        ),
        .target(
            name: "HTTPScripting",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Sources/Testing/HTTPScripting",
            swiftSettings: memorySafe
        ),
        .target(name: "PortHolding", path: "Sources/Testing/PortHolding", swiftSettings: memorySafe),
        .target(
            name: "TraceRecording",
            dependencies: [
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Sources/Testing/TraceRecording",
            swiftSettings: memorySafe
        ),

        // MARK: Tests
        .testTarget(
            name: "BackupsTests",
            dependencies: ["Backups", "ClusterModel", "FaceModel", "FaceRecords"],
            path: "Tests/Foundations/BackupsTests",
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "BinaryCodingTests",
            dependencies: ["BinaryCoding"],
            path: "Tests/Foundations/BinaryCodingTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ChecksumTests",
            dependencies: ["Checksum"],
            path: "Tests/Foundations/ChecksumTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterModelTests",
            dependencies: ["ClusterModel", "FaceModel"],
            path: "Tests/Foundations/ClusterModelTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "EmbeddingFilesTests",
            dependencies: ["EmbeddingFiles", "FaceModel"],
            path: "Tests/Foundations/EmbeddingFilesTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "FaceModelTests",
            dependencies: ["FaceModel"],
            path: "Tests/Foundations/FaceModelTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "LMDBTests",
            dependencies: ["LMDB"],
            path: "Tests/Foundations/LMDBTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ObjectStoreTests",
            dependencies: [
                "Backups", "FaceModel", "HTTPScripting", "ObjectStore", "PortHolding",
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Foundations/ObjectStoreTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ObservabilityTests",
            dependencies: ["Observability", .product(name: "CoreMetrics", package: "swift-metrics")],
            path: "Tests/Foundations/ObservabilityTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "SyntheticGalleryTests",
            dependencies: ["EmbeddingFiles", "FaceModel", "SyntheticGallery", "VectorMath"],
            path: "Tests/Foundations/SyntheticGalleryTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ThreadsTests",
            dependencies: ["Threads"],
            path: "Tests/Foundations/ThreadsTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "VectorMathTests",
            dependencies: ["VectorMath"],
            path: "Tests/Foundations/VectorMathTests",
            exclude: ["arm64"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "InvertedFileIndexTests",
            dependencies: ["Checksum", "FaceModel", "InvertedFileIndex", "VectorMath"],
            path: "Tests/Engine/InvertedFileIndexTests",
            exclude: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PartitionEngineTests",
            dependencies: [
                "BinaryCoding", "FaceModel", "FaceRecords", "InvertedFileIndex", "LMDB", "PartitionEngine",
                "PartitionStore", "Threads", "VectorMath",
            ],
            path: "Tests/Engine/PartitionEngineTests",
            exclude: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PartitionStoreTests",
            dependencies: [
                "BinaryCoding", "Checksum", "ClusterModel", "FaceModel", "FaceRecords", "LMDB", "PartitionStore",
                "VectorMath",
            ],
            path: "Tests/Engine/PartitionStoreTests",
            exclude: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "WireProtocolTests",
            dependencies: [
                "Checksum", "ClusterModel", "FaceModel", "WireProtocol",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Tests/Wire/WireProtocolTests",
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "WireTransportTests",
            dependencies: [
                "Checksum", "ClusterModel", "FaceModel", "PortHolding", "WireProtocol", "WireTransport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Wire/WireTransportTests",
            exclude: ["Certificates"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterControllerTests",
            dependencies: [
                "ClusterController", "ClusterModel", "ClusterState", "Etcd", "FaceModel", "HTTPScripting", "LMDB",
                "Observability", "PortHolding", "WireProtocol", "WireTransport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/ControlPlane/ClusterControllerTests",
            exclude: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterStateTests",
            dependencies: ["ClusterModel", "ClusterState", "FaceModel"],
            path: "Tests/ControlPlane/ClusterStateTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "QueryRouterTests",
            dependencies: [
                "Backups", "ClusterModel", "FaceModel", "Observability", "PortHolding", "QueryRouter",
                "TraceRecording", "WireProtocol",
                "WireTransport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Tests/DataPlane/QueryRouterTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ShardReplicationTests",
            dependencies: ["ClusterModel", "ShardReplication"],
            path: "Tests/DataPlane/ShardReplicationTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterSimulatorTests",
            dependencies: ["ClusterSimulator", "ShardReplication"],
            path: "Tests/Testing/ClusterSimulatorTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "DecoderFuzzingTests",
            dependencies: ["DecoderFuzzing", "WireProtocol"],
            path: "Tests/Testing/DecoderFuzzingTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "WorkerServiceTests",
            dependencies: [
                "ClusterModel", "FaceModel", "Observability", "PartitionEngine", "ShardReplication", "Threads",
                "WireProtocol", "WireTransport", "WorkerService",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Tests/DataPlane/WorkerServiceTests",
            exclude: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MienClientTests",
            dependencies: [
                "ClusterModel", "FaceModel", "MienClient", "WireProtocol", "WireTransport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Clients/MienClientTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "BiometricEvaluationTests",
            dependencies: ["BiometricEvaluation", "FaceModel"],
            path: "Tests/Clients/BiometricEvaluationTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "LoadGeneratorTests",
            dependencies: ["FaceModel", "LoadGenerator", "MienClient", "SyntheticGallery"],
            path: "Tests/Apps/LoadGeneratorTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MienCLITests",
            dependencies: [
                "Backups", "ClusterController", "ClusterModel", "ClusterState", "EmbeddingFiles", "FaceModel",
                "FaceRecords", "LoadGenerator", "MienClient", "SyntheticGallery",
                "VectorMath", "WireProtocol", "WireTransport", "mien",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Apps/MienCLITests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "NodeConfigurationTests",
            dependencies: ["NodeConfiguration", .product(name: "Logging", package: "swift-log")],
            path: "Tests/Apps/NodeConfigurationTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "NodeServerTests",
            dependencies: [
                "MienClient", "NodeConfiguration", "NodeServer", "Observability", "TraceRecording", "WireTransport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Tests/Apps/NodeServerTests",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MienIntegrationTests",
            dependencies: [
                "FaceModel", "FaceRecords", "LMDB", "MienClient", "PartitionStore", "SyntheticGallery", "mien",
                "mien-simulator",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            path: "Tests/Integration/MienIntegrationTests",
            swiftSettings: strict
        ),
        .testTarget(name: "TidyTests", path: "Tests/TidyTests", swiftSettings: strict),
    ]
)

if let fuzzer {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Sources/System/CLibFuzzer"),
        .executableTarget(
            name: "mien-fuzz",
            dependencies: [
                "CLibFuzzer", "DecoderFuzzing", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Testing/FuzzCLI",
            swiftSettings: memorySafe,
            linkerSettings: [.unsafeFlags(["-sanitize=address", "-Xlinker", fuzzer]), .linkedLibrary("stdc++")]
        ),
    ]
}
