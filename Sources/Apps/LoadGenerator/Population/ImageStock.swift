import Glibc
import Synchronization
package import Threads

/// Images for the writes of a load, each given out once; a thread makes them ahead of need.
package final class ImageStock: Sendable {
    /// Rows that the generator makes at once.
    static let blockImageCount = 128
    private static let pauseMicroseconds: UInt32 = 2000

    /// An image and its row.
    struct Image: Sendable {
        var number: Int
        var values: [Float]
    }

    private struct State {
        /// Given out from `head` on.
        var images: [Image] = []
        var head = 0
        var nextBlock: Int
        var isClosed = false

        var readyCount: Int { images.count - head }
    }

    private let population: LoadPopulation
    private let partCount: Int
    private let aheadCount: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - part: which blocks of images this stock gives out, of how many stocks.
    ///   - aheadCount: images kept ready.
    package init(_ population: LoadPopulation, part: Int, of partCount: Int, aheadCount: Int) {
        self.population = population
        self.partCount = partCount
        self.aheadCount = aheadCount
        state = Mutex(State(nextBlock: population.firstWriteBlock + part))
    }

    /// Makes the images that are to be ready; takes as long as that takes.
    package func fill() { while makeBlock() {} }

    /// Keeps the stock full until it is closed, on a thread of its own.
    package func keepFull() -> WorkerThread {
        WorkerThread(name: "load-images", priority: .background) { [self] in
            while !state.withLock({ $0.isClosed }) {
                if !makeBlock() { usleep(Self.pauseMicroseconds) }
            }
        }
    }

    package func close() { state.withLock { $0.isClosed = true } }

    /// Images that nobody was given before; nil when so many are not ready.
    func take(_ count: Int) -> [Image]? {
        state.withLock { state in
            guard state.readyCount >= count else { return nil }
            let taken = Array(state.images[state.head..<state.head + count])
            state.head += count
            return taken
        }
    }

    /// - Returns: false when the stock is full, or there are no more images.
    private func makeBlock() -> Bool {
        let size = Self.blockImageCount
        let block: Int? = state.withLock { state in
            guard !state.isClosed, state.readyCount < aheadCount, (state.nextBlock + 1) * size <= population.imageCount
            else { return nil }
            defer { state.nextBlock += partCount }
            return state.nextBlock
        }
        guard let block else { return false }
        let dimension = population.dimension
        let numbers = block * size..<(block + 1) * size
        let values = population.embeddings(of: numbers)
        let images = numbers.map { number in
            let row = (number - numbers.lowerBound) * dimension
            return Image(number: number, values: Array(values[row..<row + dimension]))
        }
        state.withLock { state in
            state.images.removeFirst(state.head)
            state.head = 0
            state.images += images
        }
        return true
    }
}
