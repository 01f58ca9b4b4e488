/// The embeddings of some images, wherever they lie; each block of the generator is made once.
struct ImageRows {
    private let dimension: Int
    private var rows: [Int: [Float]] = [:]

    init(_ population: LoadPopulation, _ images: some Sequence<Int>) {
        dimension = population.dimension
        let size = ImageStock.blockImageCount
        for (block, images) in Dictionary(grouping: Set(images), by: { $0 / size }) {
            let first = block * size
            let last = images.max() ?? first
            let values = population.embeddings(of: first..<last + 1)
            for image in images {
                let start = (image - first) * dimension
                rows[image] = Array(values[start..<start + dimension])
            }
        }
    }

    /// - Precondition: it is one of the images given.
    subscript(image: Int) -> [Float] {
        guard let row = rows[image] else { preconditionFailure("no row was made for the image") }
        return row
    }
}
