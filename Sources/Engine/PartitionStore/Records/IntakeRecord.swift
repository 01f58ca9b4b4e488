internal import BinaryCoding

/// What the newest codebook makes of the rows that it coded when they were new.
///
/// | bytes | field |
/// |---|---|
/// | 4 | generation of that codebook |
/// | 4 | the first row that counts: of those before it the codebook may have been trained |
/// | 8 | rows |
/// | 8 | their energy about the codebook's mean, float64 |
/// | 8 | the part of it that lies in the coded components, float64 |
/// | 4 | CRC-32C |
///
/// The energies are sums over the later rows rather than all: both are halved whenever the first has reached 65 536,
/// the energy of about as many rows.
package struct IntakeRecord: Hashable, Sendable {
    package static let energyLimit = 65_536.0

    package var generation: UInt32
    /// Rows before it are not new.
    package let firstRow: UInt32
    package private(set) var rowCount: UInt64 = 0
    package private(set) var energy = 0.0
    package private(set) var codedEnergy = 0.0

    package init(generation: UInt32, firstRow: UInt32) {
        self.generation = generation
        self.firstRow = firstRow
    }

    /// Rows whose energies have no finite sum are not counted.
    package mutating func add(rowCount: Int, energy: Double, codedEnergy: Double) {
        let sums = (energy: self.energy + energy, codedEnergy: self.codedEnergy + codedEnergy)
        guard sums.energy.isFinite, sums.codedEnergy.isFinite else { return }
        self.rowCount += UInt64(rowCount)
        self.energy = sums.energy
        self.codedEnergy = sums.codedEnergy
        while self.energy >= Self.energyLimit {
            self.energy /= 2
            self.codedEnergy /= 2
        }
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 36)
        writer.write(generation)
        writer.write(firstRow)
        writer.write(rowCount)
        writer.write(energy)
        writer.write(codedEnergy)
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            generation = try reader.read()
            firstRow = try reader.read()
            rowCount = try reader.read()
            energy = try reader.readDouble()
            codedEnergy = try reader.readDouble()
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
        guard energy.isFinite, codedEnergy.isFinite, energy >= 0, codedEnergy >= 0, energy < 2 * Self.energyLimit else {
            throw .malformed(table: "meta", reason: "energies that cannot be")
        }
    }
}
