import MienClient

/// Probes made before a load begins, which it uses again and again: making them costs more than sending them.
package struct ProbePool: Sendable {
    /// Who is in a probe's picture.
    package struct Truth: Sendable {
        /// Nil for somebody who is not enrolled.
        package var person: String?
        /// The filled faces that show the person under its name.
        package var mates: [Int]
    }

    private let dimension: Int
    private let values: [Float]
    let truths: [Truth]

    package init(_ population: LoadPopulation, count: Int) {
        precondition(count > 0, "a pool without probes")
        dimension = population.dimension
        values = population.probes(in: 0..<count)
        truths = (0..<count).map(population.probeTruth)
    }

    var count: Int { truths.count }

    func probes(_ numbers: [Int]) -> Embeddings {
        Embeddings(dimension: dimension, values: values(numbers))
    }

    /// Another frame of the same pictures: cosine 0.98 or so to the first.
    func frame(_ numbers: [Int], random: inout some RandomNumberGenerator) -> Embeddings {
        var values = values(numbers)
        // Uniform noise with the length of a fifth of the probe's.
        let width = 0.2 * Float(3.0 / Double(dimension)).squareRoot()
        for index in values.indices {
            let bits = UInt32(truncatingIfNeeded: random.next())
            values[index] += width * (Float(bits) * 0x1p-31 - 1)
        }
        return Embeddings(dimension: dimension, values: values)
    }

    private func values(_ numbers: [Int]) -> [Float] {
        var rows: [Float] = []
        rows.reserveCapacity(numbers.count * dimension)
        for number in numbers { rows += values[number * dimension..<(number + 1) * dimension] }
        return rows
    }
}
