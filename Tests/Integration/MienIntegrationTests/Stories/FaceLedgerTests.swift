import MienClient
import Testing

/// What a writer searches with after its writes: with what finds the face, if it is there.
struct FaceLedgerTests {
    private static let face = Face.ID(high: 1, low: 1)

    private func versions(_ write: (inout FaceLedger) -> Void) -> [Int] {
        var ledger = FaceLedger()
        write(&ledger)
        return ledger.probeVersions(of: Self.face, .absent)
    }

    private func settle(_ ledger: inout FaceLedger, _ content: FaceLedger.Content) {
        _ = ledger.begin([Self.face], content)
        ledger.settle([Self.face], content)
    }

    @Test func aDeletedFaceIsSearchedForAsWhatItWas() {
        let once = versions { ledger in
            settle(&ledger, .version(3))
            // The writer's last one, of other faces.
            _ = ledger.begin([Face.ID(high: 2, low: 2)], .version(9))
            settle(&ledger, .absent)
        }
        #expect(once == [3])
        let again = versions { ledger in
            settle(&ledger, .version(3))
            settle(&ledger, .version(5))
            settle(&ledger, .absent)
            settle(&ledger, .absent)
        }
        #expect(again == [5])
    }

    @Test func aFaceThatMayHaveBeenSeveralIsSearchedForAsEach() {
        let unknown = versions { ledger in
            settle(&ledger, .version(3))
            _ = ledger.begin([Self.face], .version(4))
            settle(&ledger, .absent)
        }
        #expect(unknown == [3, 4])
        let refused = versions { ledger in
            settle(&ledger, .version(3))
            let before = ledger.begin([Self.face], .version(4))
            ledger.putBack(before)
            settle(&ledger, .absent)
        }
        #expect(refused == [3])
    }

    /// An enrolment after its deletion may not have been done: what comes back may be what it was before.
    @Test func aDeletedFaceThatMayHaveComeBackIsSearchedForAsBoth() {
        let both = versions { ledger in
            settle(&ledger, .version(3))
            settle(&ledger, .absent)
            _ = ledger.begin([Self.face], .version(9))
            settle(&ledger, .absent)
        }
        #expect(both == [3, 9])
    }

    @Test func aFaceThatIsThereOrNeverWasIsNotSearchedForAsDeleted() {
        let present = versions { ledger in
            settle(&ledger, .version(3))
            settle(&ledger, .absent)
            settle(&ledger, .version(5))
        }
        #expect(present.isEmpty)
        let never = versions { ledger in settle(&ledger, .absent) }
        #expect(never.isEmpty)
        let enrolled = FaceLedger().probeVersions(of: Self.face, .version(7))
        #expect(enrolled == [7])
    }

    /// Otherwise a search with the embedding of another version would find the face as well, or this one would not.
    @Test func onlyItsOwnVersionIsNear() {
        func similarity(_ one: Int, _ other: Int) -> Float {
            zip(
                FaceLedger.embedding(Self.face, version: one, dimension: FaceWriter.dimension),
                FaceLedger.embedding(Self.face, version: other, dimension: FaceWriter.dimension)
            )
            .reduce(0) { $0 + $1.0 * $1.1 }
        }
        #expect(similarity(3, 3) > 0.999)
        #expect(abs(similarity(3, 4)) < 0.7)
    }
}
