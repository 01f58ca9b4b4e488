import ClusterModel
import FaceModel
import Observability
import PartitionEngine
import Synchronization
import Threads
import WireProtocol

/// What is read off a worker when its metrics are asked for: from memory alone, the disk is looked at by reports.
struct WorkerCollector: Sendable {
    let replicas: ReplicaTable
    let searches: BoundedExecutor
    let control: BoundedExecutor
    let limits: WorkerLimits
    let memory: MemoryWatch
    /// What the age of what is not erased yet is held against.
    let erasurePeriod: Duration
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
        collectMemory(&samples)
        guard let report = latestReport() else { return }
        let coldCount = report.replicas.count {
            $0.state == .serving && Double($0.warmth) < MappedMemory.leastWarmth
        }
        samples.add(MetricCatalogue.coldReplicas, value: Double(coldCount))
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
    }

    /// Workers of one process hold its memory together: what is of all of it must not be counted twice.
    private func collectMemory(_ samples: inout MetricSamples) {
        let ledger = memory.ledger
        for (part, label) in [
            (MemoryLedger.Part.searchQueue, LabelValue.searchQueue), (.writeQueue, LabelValue.writeQueue),
            (.log, LabelValue.log), (.copies, LabelValue.copies), (.codebooks, LabelValue.codebooks),
            (.filters, LabelValue.filters), (.training, LabelValue.training),
        ] { samples.add(MetricCatalogue.memory, label, value: Double(ledger[part])) }
        let buffers = Double(ledger[.searchBuffers])
        samples.raise(MetricCatalogue.memory, LabelValue.searchBuffers, to: buffers)
        samples.raise(MetricCatalogue.memory, LabelValue.program, to: Double(ledger[.program]))
        samples.raise(MetricCatalogue.heldMemory, to: Double(ledger.heldByteCount))
        samples.raise(MetricCatalogue.memoryLimit, to: Double(ledger.limitByteCount))
        samples.raise(MetricCatalogue.shortOfMemory, to: ledger.isShort ? 1 : 0)
        samples.add(MetricCatalogue.mappedBytes, LabelValue.fresh, value: Double(ledger.freshByteCount))
    }

    private func collectPartitions(_ replicas: [Replica.Figures], _ samples: inout MetricSamples) {
        let labels = CollectionLabels(replicas.compactMap(\.collection))
        // Replicas out of service count too, shards that are being made, and what could not be removed: their files are
        // there.
        let remnants =
            replicas.compactMap(\.remnantsSince) + self.replicas.successors.compactMap(\.remnantsSince)
            + self.replicas.remains.withLock { Array($0.values) }
        let age = remnants.min().map { ContinuousClock.now - $0 } ?? .zero
        samples.raise(MetricCatalogue.erasureAge, to: age / .seconds(1))
        samples.raise(MetricCatalogue.erasurePeriod, to: erasurePeriod / .seconds(1))
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
            samples.raise(MetricCatalogue.rowIDFill, label, to: Double(statistics.rowIDCount) / 0x1p32)
            samples.raise(MetricCatalogue.missRatio, label, to: statistics.fit?.recall.excess ?? 1)
            guard let file = replica.fileUse else { continue }
            samples.add(MetricCatalogue.mapBytes, label, value: Double(file.mapByteCount))
            samples.add(MetricCatalogue.usedBytes, label, value: Double(file.usedByteCount))
            samples.add(MetricCatalogue.freeBytes, label, value: Double(file.freeByteCount))
            if file.mapByteCount > 0 {
                let fill = Double(file.usedByteCount) / Double(file.mapByteCount)
                samples.raise(MetricCatalogue.mapFill, label, to: fill)
            }
            samples.raise(MetricCatalogue.readerLag, to: Double(file.oldestReaderLag))
        }
    }
}
