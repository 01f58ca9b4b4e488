import FaceModel
import SyntheticGallery
import Testing

@Suite struct SyntheticGalleryTests {
    @Test func anyRowIsMadeAgainFromItsNumber() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 2000, dimension: 128, seed: 3))
        let again = try SyntheticGallery(GalleryParameters(faceCount: 2000, dimension: 128, seed: 3))
        let all = gallery.faces(in: 0..<2000)
        let probes = gallery.probes(in: 0..<300)
        for number in [0, 1, 63, 127, 128, 129, 777, 1999] {
            #expect(again.face(number) == Array(all[(number * 128)..<((number + 1) * 128)]))
        }
        #expect(again.faces(in: 100..<700) == Array(all[(100 * 128)..<(700 * 128)]))
        #expect(again.probes(in: 131..<132) == Array(probes[(131 * 128)..<(132 * 128)]))
        #expect(gallery.faces(in: 5..<5) == [])
    }

    @Test func rowsAreOfUnitLengthAndDifferBySeed() throws {
        for dimension in [64, 72, 512] {
            let gallery = try SyntheticGallery(GalleryParameters(faceCount: 300, dimension: dimension))
            let rows = gallery.faces(in: 0..<300) + gallery.probes(in: 0..<50)
            for start in stride(from: 0, to: rows.count, by: dimension) {
                let row = rows[start..<(start + dimension)]
                #expect(abs(cosine(row, row) - 1) < 1e-5)
            }
            let other = try SyntheticGallery(GalleryParameters(faceCount: 300, dimension: dimension, seed: 2))
            #expect(abs(cosine(gallery.face(0), other.face(0))) < 0.6)
        }
    }

    @Test func aLargerGalleryBeginsWithTheSmaller() throws {
        let small = try SyntheticGallery(GalleryParameters(faceCount: 1000, dimension: 64))
        let large = try SyntheticGallery(GalleryParameters(faceCount: 5000, dimension: 64))
        #expect(small.faces(in: 0..<1000) == large.faces(in: 0..<1000))
        for face in 0..<1000 { #expect(small.faceInfo(face) == large.faceInfo(face)) }
    }

    @Test func aPersonLeadsBackToItsFaces() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 500, dimension: 64))
        var next = 0
        for identity in 0..<gallery.identityCount {
            let faces = gallery.faces(ofIdentity: identity)
            #expect(faces.lowerBound == next && !faces.isEmpty)
            for face in faces { #expect(gallery.faceInfo(face).identity == identity) }
            next = faces.upperBound
            #expect(SyntheticGallery.identity(SyntheticGallery.personID(identity)) == identity)
        }
        #expect(next == 500)
        for text in ["", "person-", "person-1", "person--0000001", "person-00000001 ", "somebody"] {
            #expect(SyntheticGallery.identity(text) == nil, "\(text)")
        }
        #expect(SyntheticGallery.identity("person-123456789") == 123_456_789)
    }

    @Test func faceIDsAreThoseOfPhilox() throws {
        // Computed by an independent Philox4x32-10 that passes Random123's known answers.
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64, seed: 1))
        #expect(gallery.faceID(0).description == "79e22bd2-f4ca-804c-bcc8-f2fb1e8b2eb1")
        #expect(gallery.faceID(12_345).description == "ca96747d-18f0-8bde-88fa-29ca1e1789ec")
        #expect(Set((0..<10_000).map { gallery.faceID($0) }).count == 10_000)
        #expect(SyntheticGallery.personID(1234) == "person-00001234")
    }

    @Test func identitiesHaveAsManyImagesAsTheRecipeSays() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 300_000, dimension: 64))
        var counts = [Int](repeating: 0, count: gallery.identityCount)
        for face in 0..<gallery.faceCount { counts[gallery.faceInfo(face).identity] += 1 }
        let ordinary = counts.filter { $0 <= 20 }
        let celebrities = counts.dropLast().filter { $0 > 20 }
        #expect(abs(Double(ordinary.reduce(0, +)) / Double(ordinary.count) - 2.22) < 0.03)
        #expect(celebrities.allSatisfy { (100...1000).contains($0) })
        #expect(abs(Double(celebrities.count) / Double(counts.count) - 0.001) < 0.0004)
        #expect(abs(Double(counts.filter { $0 == 1 }.count) / Double(counts.count) - 0.45) < 0.01)
    }

    @Test func familiesResembleEachOtherInOrder() throws {
        var parameters = GalleryParameters(faceCount: 20_000, seed: 5)
        parameters.irregularities = .none
        parameters.irregularities.siblingShare = 0.1
        parameters.irregularities.identicalTwinShare = 0.1
        parameters.irregularities.fraternalTwinShare = 0.1
        let gallery = try SyntheticGallery(parameters)
        let rows = gallery.faces(in: 0..<gallery.faceCount)
        let first = gallery.firstFaces
        func similarity(_ a: Int, _ b: Int) -> Float {
            cosine(
                rows[(first[a] * 512)..<(first[a] * 512 + 512)],
                rows[(first[b] * 512)..<(first[b] * 512 + 512)]
            )
        }
        var members: [IdentityInfo.Relation: Int] = [:]
        var statistics: [IdentityInfo.Relation: SimilarityStatistics] = [:]
        for identity in 0..<(gallery.identityCount - 8) {
            let info = gallery.identityInfo(identity)
            members[info.relation, default: 0] += 1
            let other = info.relation == .none ? identity + 5 : info.family.lowerBound
            if other != identity {
                statistics[info.relation, default: SimilarityStatistics()].add(similarity(identity, other))
            }
        }
        for relation in [IdentityInfo.Relation.siblings, .identicalTwins, .fraternalTwins] {
            #expect(abs(Double(members[relation]!) / Double(gallery.identityCount) - 0.1) < 0.02)
        }
        let identical = try #require(statistics[.identicalTwins])
        let fraternal = try #require(statistics[.fraternalTwins])
        let siblings = try #require(statistics[.siblings])
        #expect(identical.mean > fraternal.mean + 0.15)
        #expect(fraternal.mean > siblings.mean + 0.08)
        #expect(siblings.mean > statistics[.none]!.mean + 0.15)
        // NIST at a false match rate of 1e-4 (0.279 here): identical 0.91 to 0.99, fraternal of one sex 0.70 to 0.80.
        #expect((0.9...1).contains(1 - identical.share(below: 0.279)))
        #expect((0.6...0.85).contains(1 - fraternal.share(below: 0.279)))
    }

    @Test func copiesMislabelsAndGarbageAreThereAtTheirShares() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 60_000, seed: 11))
        var numbers: [String: [Int]] = [:]
        for face in 0..<gallery.faceCount { numbers[gallery.faceInfo(face).kind.name, default: []].append(face) }
        for (name, share, tolerance) in [
            ("exact_copy", 0.01, 0.002), ("near_copy", 0.01, 0.002), ("shared_image", 0.005, 0.001),
            ("mislabelled", 0.005, 0.001), ("garbage", 0.02, 0.002),
        ] {
            let found = Double(numbers[name]?.count ?? 0) / 60_000
            #expect(abs(found - share) < tolerance, "\(name): \(found)")
        }
        var mislabelled = SimilarityStatistics()
        for name in ["exact_copy", "near_copy", "shared_image", "mislabelled"] {
            for face in numbers[name]?.prefix(60) ?? [] {
                let info = gallery.faceInfo(face)
                switch info.kind {
                case .exactCopy(let source):
                    #expect(areEqualButForRounding(gallery.face(face), gallery.face(source)))
                    #expect(gallery.faceInfo(source).identity == info.identity)
                case .nearCopy(let source):
                    #expect((0.969...0.9991).contains(cosine(gallery.face(face), gallery.face(source))))
                    #expect(gallery.faceInfo(source).identity == info.identity)
                case .sharedImage(let source):
                    #expect(areEqualButForRounding(gallery.face(face), gallery.face(source)))
                    #expect(gallery.faceInfo(source).identity != info.identity)
                case .mislabelled(let depicted):
                    #expect(depicted < info.identity)
                    let image = (0..<60_000).first { gallery.faceInfo($0).identity == depicted }!
                    mislabelled.add(cosine(gallery.face(face), gallery.face(image)))
                case .original, .garbage:
                    Issue.record("face \(face) changed its kind")
                }
            }
        }
        #expect((0.5...0.7).contains(mislabelled.mean))
    }

    @Test func garbageIsNearItsHubAndOfLowQuality() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 20_000, seed: 2))
        var hubs: [Int: [Int]] = [:]
        for face in 0..<gallery.faceCount {
            if case .garbage(let hub) = gallery.faceInfo(face).kind {
                hubs[hub, default: []].append(face)
                #expect(gallery.faceInfo(face).quality < 0.25)
            }
        }
        #expect(hubs.count == SyntheticGallery.hubCount)
        var within = SimilarityStatistics()
        for faces in hubs.values {
            let rows = faces.prefix(12).map(gallery.face)
            for (index, row) in rows.enumerated() {
                for other in rows[..<index] { within.add(cosine(row, other)) }
            }
        }
        #expect(abs(within.mean - 0.6) < 0.05, "\(within.mean)")
        #expect(within.share(below: 0.3) < 0.02)
        #expect(within.share(below: 0.95) == 1)
    }

    @Test func probesShowEnrolledPeopleInNewImagesOrStrangers() throws {
        var parameters = GalleryParameters(faceCount: 5000, profile: .mugshot, seed: 9)
        parameters.matedShare = 0.75
        let gallery = try SyntheticGallery(parameters)
        let rows = gallery.faces(in: 0..<5000)
        let probes = gallery.probes(in: 0..<400)
        var (mated, matesFirst) = (0, 0)
        for probe in 0..<400 {
            let info = gallery.probeInfo(probe)
            #expect(info.mates.isEmpty == (info.identity == nil))
            let row = probes[(probe * 512)..<((probe + 1) * 512)]
            let similarities = (0..<5000).map { cosine(row, rows[($0 * 512)..<(($0 + 1) * 512)]) }
            let best = similarities.indices.max { similarities[$0] < similarities[$1] }!
            #expect(similarities[best] < 0.995)
            guard let identity = info.identity else {
                #expect(similarities[best] < 0.6)
                continue
            }
            mated += 1
            for mate in info.mates {
                #expect(gallery.faceInfo(mate).identity == identity)
                #expect(gallery.faceInfo(mate).kind.showsItsPerson)
            }
            // Another person may carry an image of this one.
            if info.mates.contains(best) { matesFirst += 1 }
        }
        #expect(abs(Double(mated) / 400 - 0.75) < 0.07)
        #expect(Double(matesFirst) / Double(mated) > 0.97)
    }

    @Test func hostileRowsAreWhatTheyAreCalled() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64))
        for kind in HostileRow.Kind.allCases {
            let row = gallery.hostileRow(kind, number: 3)
            #expect(row.values.count == (kind == .wrongDimension ? 72 : 64))
            let norm = cosine(row.values, row.values).squareRoot()
            switch kind {
            case .notANumber: #expect(norm.isNaN)
            case .infinity, .enormous: #expect(norm == .infinity)
            case .zero: #expect(norm == 0)
            case .unnormalised: #expect(abs(norm - 25) < 0.01)
            case .wrongDimension: #expect(norm > 1)
            case .wrongModel: #expect(abs(norm - 1) < 1e-5)
            }
        }
    }

    @Test func parametersOutOfRangeAreRefusedByName() {
        var mated = GalleryParameters(faceCount: 1)
        mated.matedShare = 1.5
        var garbage = GalleryParameters(faceCount: 1)
        garbage.irregularities.garbageShare = .nan
        for (parameters, name) in [
            (GalleryParameters(faceCount: 0), "face count"), (GalleryParameters(faceCount: 1 << 33), "face count"),
            (GalleryParameters(faceCount: 1, dimension: 60), "dimension"),
            (GalleryParameters(faceCount: 1, dimension: 68), "dimension"),
            (GalleryParameters(faceCount: 1, dimension: 4096), "dimension"),
            (GalleryParameters(faceCount: 1, dimension: 128, effectiveDimension: 140), "effective dimension"),
            (GalleryParameters(faceCount: 1, effectiveDimension: .nan), "effective dimension"),
            (mated, "mated share"), (garbage, "garbageShare"),
        ] {
            do throws(GalleryError) {
                _ = try SyntheticGallery(parameters)
                Issue.record("\(name) was accepted")
            } catch {
                #expect(error.description.hasPrefix(name))
            }
        }
    }
}
