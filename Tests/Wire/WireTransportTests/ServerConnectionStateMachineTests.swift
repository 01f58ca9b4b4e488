import Testing
import WireProtocol
import WireTransport

/// The machine as a script: frame, expected action.
struct ServerConnectionStateMachineTests {
    private typealias Action = ServerConnectionStateMachine.Action

    private let hello = Hello(
        lowestVersion: 1,
        highestVersion: 1,
        features: 0,
        role: .coordinator,
        token: "t",
        agent: "test"
    )

    private func machine(streamLimit: UInt32 = 2) -> ServerConnectionStateMachine {
        ServerConnectionStateMachine(Fixture.configuration { $0.limits.streamCount = streamLimit })
    }

    private func openMachine(streamLimit: UInt32 = 2) -> ServerConnectionStateMachine {
        var machine = machine(streamLimit: streamLimit)
        _ = machine.received(.hello, stream: 1)
        _ = machine.helloReceived(hello, tokenIsRight: true, stream: 1)
        return machine
    }

    private func code(_ action: Action) -> StatusCode? {
        switch action {
        case .answer(let status, _), .refuse(let status, _): status.code
        default: nil
        }
    }

    @Test func aHelloOpensTheConnection() {
        var machine = machine()
        #expect(machine.isAwaitingHello)
        #expect(machine.received(.hello, stream: 1) == .readHello)
        guard case .accept(let reply, stream: 1) = machine.helloReceived(hello, tokenIsRight: true, stream: 1) else {
            Issue.record("not accepted")
            return
        }
        #expect(reply.version == 1 && reply.features == 0)
        #expect(machine.received(.searchFaces, stream: 2) == .handle(.coordinator))
    }

    /// Of the features of later builds nobody knows here what they would be.
    @Test func featuresAreThoseThatBothSidesKnow() {
        for (features, granted) in [(UInt64.max, UInt64(7)), (1, 1), (2, 2), (4, 4), (8, 0), (0, 0)] {
            var machine = machine()
            _ = machine.received(.hello, stream: 1)
            var hello = hello
            hello.features = features
            guard case .accept(let reply, _) = machine.helloReceived(hello, tokenIsRight: true, stream: 1) else {
                Issue.record("not accepted")
                continue
            }
            #expect(reply.features == granted)
        }
    }

    @Test func whateverIsNotAHelloIsRefusedFirst() {
        for type in MessageType.allCases where type != .hello {
            var machine = machine()
            #expect(code(machine.received(type, stream: 1)) == .unauthenticated)
            #expect(machine.isClosing)
            #expect(machine.received(.hello, stream: 1) == .ignore)
        }
    }

    @Test func streamsAreCountedUntilTheyFinish() {
        var machine = openMachine(streamLimit: 2)
        #expect(machine.received(.searchFaces, stream: 10) == .handle(.coordinator))
        #expect(machine.received(.searchFaces, stream: 11) == .handle(.coordinator))
        #expect(code(machine.received(.searchFaces, stream: 12)) == .overloaded)
        #expect(machine.received(.ping, stream: 13) == .pong(stream: 13))
        #expect(machine.received(.cancel, stream: 10) == .cancel(stream: 10))
        #expect(code(machine.received(.searchFaces, stream: 14)) == .overloaded)
        #expect(machine.finished(10) == false)
        #expect(machine.received(.searchFaces, stream: 14) == .handle(.coordinator))
        #expect(machine.received(.cancel, stream: 10) == .ignore)
    }

    @Test func drainingFinishesWhatIsUnderWay() {
        var machine = openMachine()
        #expect(machine.received(.searchFaces, stream: 10) == .handle(.coordinator))
        #expect(machine.drain() == false)
        #expect(code(machine.received(.searchFaces, stream: 11)) == .unavailable)
        #expect(machine.received(.cancel, stream: 10) == .cancel(stream: 10))
        #expect(machine.finished(10) == true)
    }

    @Test func drainingWithNothingUnderWayClosesAtOnce() {
        var unopened = machine()
        #expect(unopened.drain() == true)
        #expect(unopened.received(.hello, stream: 1) == .ignore)
        var open = openMachine()
        #expect(open.drain() == true)
    }

    @Test func streamZeroAndRepliesAreNotForRequests() {
        var machine = openMachine()
        #expect(code(machine.received(.searchFaces, stream: 0)) == .malformedFrame)
        for type in MessageType.allCases where !type.isRequest && ![.ping, .cancel].contains(type) {
            var machine = openMachine()
            #expect(code(machine.received(type, stream: 5)) == .malformedFrame, "\(type)")
            #expect(machine.isClosing)
        }
    }
}
