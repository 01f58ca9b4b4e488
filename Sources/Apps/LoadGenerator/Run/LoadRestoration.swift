package import MienClient

/// Brings a collection back to what a fill left: takes away the faces that loads enrolled, and gives the filled faces
/// that loads wrote their own images again.
///
/// It needs to know nothing of the loads: they take images, and filled faces, in an order that follows from the seed,
/// so the work ends where nothing is found changed.
package struct LoadRestoration: Sendable {
    /// More than the parts of a load can be apart from each other.
    private static let strideCount = 4096

    private let client: MienClient
    private let collection: String
    private let model: String
    private let population: LoadPopulation

    package init(client: MienClient, collection: String, model: String, population: LoadPopulation) {
        self.client = client
        self.collection = collection
        self.model = model
        self.population = population
    }

    /// What was found changed.
    package struct Result: Sendable, Equatable {
        package var removedCount = 0
        package var restoredCount = 0

        package var isNothing: Bool { removedCount == 0 && restoredCount == 0 }
    }

    package func run() async throws(MienClientError) -> Result {
        Result(removedCount: try await removeFacesOfLoads(), restoredCount: try await restoreFilledFaces())
    }

    /// What is not as a fill left it; nothing is changed. Looks where ``run()`` does, and no farther.
    package func findings() async throws(MienClientError) -> TruthFindings {
        var findings = TruthFindings()
        var next = firstFaceOfLoads
        while true {
            let strays = try await facesOfLoads(from: next)
            if strays.isEmpty { break }
            for id in strays { findings.add(.resurrected, "\(id) is there before the load, and no fill enrolled it") }
            next += Self.strideCount
        }
        let order = BaseOrder(count: population.filledCount)
        for place in stride(from: 0, to: order.count, by: Self.strideCount) {
            let faces = (place..<min(order.count, place + Self.strideCount)).map(order.face)
            let changed = try await changed(faces)
            if changed.isEmpty { break }
            for (face, isThere) in changed {
                let id = population.faceID(face)
                if isThere {
                    findings.add(.wrongContent, "\(id) has other metadata before the load than it was filled with")
                } else {
                    findings.add(.lost, "\(id) is not there before the load")
                }
            }
        }
        return findings
    }

    private var firstFaceOfLoads: Int { population.firstWriteBlock * ImageStock.blockImageCount }

    /// Those that are there of a stride of numbers that no fill has. Ids beyond the population's images are no image's,
    /// but follow from the seed all the same.
    private func facesOfLoads(from first: Int) async throws(MienClientError) -> [Face.ID] {
        let ids = (first..<first + Self.strideCount).map(population.faceID)
        return try await client.faces(ids, in: collection).map(\.id)
    }

    /// Those of some filled faces that are not as they were filled, and whether they are there at all.
    private func changed(_ faces: [Int]) async throws(MienClientError) -> [(face: Int, isThere: Bool)] {
        var stored: [Face.ID: Face.Metadata] = [:]
        for face in try await client.faces(faces.map(population.faceID), in: collection) {
            stored[face.id] = face.metadata
        }
        return faces.compactMap { face -> (face: Int, isThere: Bool)? in
            let found = stored[population.faceID(face)]
            if found == population.metadata(ofImage: face) { return nil }
            return (face, found != nil)
        }
    }

    private func removeFacesOfLoads() async throws(MienClientError) -> Int {
        var count = 0
        var next = firstFaceOfLoads
        while true {
            let found = try await facesOfLoads(from: next)
            guard !found.isEmpty else { return count }
            _ = try await client.deleteFaces(found, from: collection)
            count += found.count
            next += Self.strideCount
        }
    }

    private func restoreFilledFaces() async throws(MienClientError) -> Int {
        let order = BaseOrder(count: population.filledCount)
        var count = 0
        var place = 0
        while place < order.count {
            let end = min(order.count, place + Self.strideCount)
            let changed = try await changed((place..<end).map(order.face)).map(\.face)
            guard !changed.isEmpty else { return count }
            try await restore(changed)
            count += changed.count
            place = end
        }
        return count
    }

    private func restore(_ faces: [Int]) async throws(MienClientError) {
        let rows = ImageRows(population, faces)
        for first in stride(from: 0, to: faces.count, by: 1024) {
            let part = faces[first..<min(faces.count, first + 1024)]
            _ = try await client.enrol(
                part.map { NewFace(id: population.faceID($0), metadata: population.metadata(ofImage: $0)) },
                embeddings: Embeddings(dimension: population.dimension, values: part.flatMap { rows[$0] }),
                into: collection,
                model: model
            )
        }
    }
}
