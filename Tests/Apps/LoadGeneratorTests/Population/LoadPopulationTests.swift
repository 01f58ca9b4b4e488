import FaceModel
import LoadGenerator
import MienClient
import SyntheticGallery
import Testing

@Suite struct LoadPopulationTests {
    private static let parameters = GalleryParameters(faceCount: 1000, dimension: 64, seed: 7)

    @Test func filledFacesAreThoseOfTheGallery() throws {
        let gallery = try SyntheticGallery(Self.parameters)
        let population = try LoadPopulation(Self.parameters, writeCount: 500)
        #expect(population.filledCount == 1000 && population.imageCount == 1500)
        #expect(population.embeddings(of: 0..<1000) == gallery.faces(in: 0..<1000))
        for face in [0, 1, 500, 999] {
            let id = gallery.faceID(face)
            #expect(population.faceID(face) == Face.ID(high: id.high, low: id.low))
            let person = SyntheticGallery.personID(gallery.faceInfo(face).identity)
            #expect(population.metadata(ofImage: face) == Face.Metadata(personID: person))
        }
    }

    @Test func aFaceTellsWhichImageOfTheRunItHas() throws {
        let population = try LoadPopulation(Self.parameters, writeCount: 500)
        #expect(LoadPopulation.image(named: population.metadata(ofImage: 1234).imageID) == 1234)
        #expect(LoadPopulation.image(named: nil) == nil)
        #expect(LoadPopulation.image(named: "holiday-7") == nil)
        #expect(Set((0..<1500).map(population.faceID)).count == 1500)
    }
}
