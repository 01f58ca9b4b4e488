import ClusterModel
import FaceModel
import Observability
import PartitionEngine
import Threads
import WireProtocol

/// What is read off a worker when its metrics are asked for: from memory alone, the disk is looked at by reports.
struct WorkerCollector: Sendable {
    let replicas: ReplicaTable
    let searches: BoundedExecutor
    let control: BoundedExecutor
    let limits: WorkerLimits
    /// The last report that was made.
    let latestReport: @Sendable () -> WorkerReport?

    func collect(into samples: inout MetricSamples) {
        let replicas = replicas.all.map(\.figures)
        collectQueues(replicas, &samples)
        for state in WorkerReport.ReplicaState.allCases {
            let count = replicas.count { $0.state == state }
            samples.add(MetricCatalogue.replicas, "\(state)", value: Double(count))
        }
        collectPartitions(replicas, &samples)
        guard let report = latestReport() else { return }
        let mapped = report.mapped
        samples.add(MetricCatalogue.memory, LabelValue.codes, value: Double(mapped.residentCodeByteCount))
        samples.add(MetricCatalogue.memory, LabelValue.embeddings, value: Double(mapped.residentRowByteCount))
        samples.add(MetricCatalogue.mappedBytes, LabelValue.codes, value: Double(mapped.codeByteCount))
        samples.add(MetricCatalogue.mappedBytes, LabelValue.embeddings, value: Double(mapped.rowByteCount))
        // Workers of one machine may share a disk, whose room must not be counted twice.
        samples.raise(MetricCatalogue.freeDisk, to: Double(report.freeDiskByteCount))
    }

    private func collectQueues(_ replicas: [Replica.Figures], _ samples: inout MetricSamples) {
        let searchLoad = searches.load
        let controlLoad = control.load
        let rowCount = replicas.reduce(0) { $0 + $1.queuedRowCount }
        let writeByteCount = replicas.reduce(0) { $0 + $1.queuedByteCount }
        for (queue, length, limit, byteCount) in [
            (LabelValue.search, searchLoad.waitingCount, limits.searchQueueCount, searchLoad.waitingByteCount),
            (LabelValue.control, controlLoad.waitingCount, limits.controlQueueCount, controlLoad.waitingByteCount),
            (LabelValue.write, rowCount, limits.writeQueueRowCount, writeByteCount),
        ] {
            samples.add(MetricCatalogue.queueLength, queue, value: Double(length))
            samples.raise(MetricCatalogue.queueLimit, queue, to: Double(limit))
            samples.add(MetricCatalogue.queueBytes, queue, value: Double(byteCount))
        }
        let busyCount = min(searchLoad.busyThreadCount, searches.threadCount)
        samples.add(MetricCatalogue.searchThreads, LabelValue.busy, value: Double(busyCount))
        samples.add(MetricCatalogue.searchThreads, LabelValue.idle, value: Double(searches.threadCount - busyCount))
        samples.add(MetricCatalogue.memory, LabelValue.searchQueue, value: Double(searchLoad.waitingByteCount))
        samples.add(MetricCatalogue.memory, LabelValue.writeQueue, value: Double(writeByteCount))
    }

    private func collectPartitions(_ replicas: [Replica.Figures], _ samples: inout MetricSamples) {
        samples.add(MetricCatalogue.memory, LabelValue.codebooks, value: 0)
        samples.add(MetricCatalogue.memory, LabelValue.filters, value: 0)
        let labels = CollectionLabels(replicas.compactMap(\.collection))
        for replica in replicas {
            guard let name = replica.collection, let statistics = replica.statistics else { continue }
            let label = labels.label(of: name)
            samples.add(MetricCatalogue.partitionFaces, label, value: Double(statistics.faceCount))
            samples.add(MetricCatalogue.partitionFresh, label, value: Double(statistics.freshCount))
            samples.add(MetricCatalogue.partitionTombstones, label, value: Double(statistics.tombstoneCount))
            samples.add(MetricCatalogue.partitionRuns, label, value: Double(statistics.runCount))
            samples.add(MetricCatalogue.partitionChunks, label, value: Double(statistics.codeChunkCount))
            samples.add(MetricCatalogue.partitionRecoding, label, value: Double(statistics.olderRowCount))
            samples.add(MetricCatalogue.partitionDisk, label, value: Double(statistics.diskByteCount))
            samples.raise(MetricCatalogue.missRatio, label, to: statistics.fit?.recall.excess ?? 1)
            samples.add(MetricCatalogue.memory, LabelValue.codebooks, value: Double(statistics.codebookByteCount))
            samples.add(MetricCatalogue.memory, LabelValue.filters, value: Double(statistics.filterByteCount))
            guard let file = replica.fileUse else { continue }
            samples.add(MetricCatalogue.mapBytes, label, value: Double(file.mapByteCount))
            samples.add(MetricCatalogue.usedBytes, label, value: Double(file.usedByteCount))
            samples.add(MetricCatalogue.freeBytes, label, value: Double(file.freeByteCount))
            samples.raise(MetricCatalogue.readerLag, to: Double(file.oldestReaderLag))
        }
    }
}
