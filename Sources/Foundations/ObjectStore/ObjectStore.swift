internal import AsyncHTTPClient
package import Backups
internal import FaceModel
internal import Glibc
package import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// Backups in a bucket of an object store that speaks the protocol of Amazon S3.
///
/// An object appears whole or not at all, as such stores promise. A request that fails for a passing reason is made
/// again (``RetryPolicy``). Those that restore, write and prune keep others away by objects (``StoreLock``); a program
/// that stands still for longer than such an object counts can still meet another: it looks again before it does what
/// others would be harmed by, and what prunes leaves alone what is new.
package final class ObjectStore: BackupStore {
    /// Until an answer begins.
    private static let timeout = TimeAmount.seconds(120)
    /// An answer that comes more slowly is given up, like one that does not come.
    private static let leastBytesPerSecond = 256 << 10
    private static let listingByteLimit = 16 << 20
    private static let reasonByteLimit = 1 << 16

    package let place: String
    package var hasLock: Bool { false }
    private let options: ObjectStoreOptions
    private let retries: RetryPolicy
    private let bodyTime: Duration
    /// Whether the store has ever answered, whatever it said.
    private let isKnown = Mutex(false)
    private let signature: RequestSignature
    private let http: HTTPClient
    private let held = Mutex<(lock: StoreLock, renewal: Task<Void, Never>)?>(nil)

    /// Nothing is connected yet; ``close()`` is called once, at the end.
    ///
    /// - Parameter bodyTime: that an answer may take once it has begun, beside what its length takes at the least pace.
    package init(
        _ options: ObjectStoreOptions,
        retries: RetryPolicy = .patient,
        bodyTime: Duration = .seconds(120),
        group: any EventLoopGroup
    ) {
        self.options = options
        self.retries = retries
        self.bodyTime = bodyTime
        place = "s3://\(options.bucket)/\(options.prefix)"
        signature = RequestSignature(credentials: options.credentials, region: options.region)
        var configuration = HTTPClient.Configuration()
        configuration.timeout = .init(connect: .seconds(10), read: .seconds(60))
        // A port that refuses says so at once. Whether it is asked again is decided here, and nowhere else.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.decompression = .disabled
        http = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    package func close() async { try? await http.shutdown() }

    package func lock(for use: StoreUse = .pruning) async throws(BackupError) {
        let lock = try await StoreLock.take(in: self, for: use)
        let renewal = Task {
            // That it was lost shows when it is confirmed.
            while (try? await Task.sleep(for: StoreLock.renewalInterval)) != nil { try? await lock.renew() }
        }
        held.withLock { $0 = (lock, renewal) }
    }

    package func confirmLock() async throws(BackupError) {
        guard let lock = held.withLock({ $0?.lock }) else { return }
        try await lock.confirm()
    }

    package func unlock() async {
        let last = held.withLock { held in
            defer { held = nil }
            return held
        }
        guard let last else { return }
        last.renewal.cancel()
        // One that is being written would come back.
        await last.renewal.value
        await last.lock.release()
    }

    package func removePartial() async throws(BackupError) -> Int { 0 }

    package func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError) {
        guard try await call("PUT", name, body: bytes, limit: Self.reasonByteLimit) != nil else {
            throw .storeFailed(object: place, reason: "there is no such bucket")
        }
    }

    package func get(_ name: String, limit: Int) async throws(BackupError) -> [UInt8] {
        guard let bytes = try await call("GET", name, limit: limit) else { throw .missing(object: path(of: name)) }
        return bytes
    }

    package func remove(_ name: String) async throws(BackupError) {
        _ = try await call("DELETE", name, limit: Self.reasonByteLimit)
    }

    package func list(_ prefix: String) async throws(BackupError) -> [BackupObject] {
        var objects: [BackupObject] = []
        var continuation: String?
        var seen: Set<String> = []
        let whole = options.prefix + prefix
        repeat {
            var query = [("list-type", "2"), ("prefix", whole)]
            if let continuation { query.append(("continuation-token", continuation)) }
            guard let bytes = try await call("GET", nil, query: query, limit: Self.listingByteLimit) else {
                throw .storeFailed(object: place, reason: "there is no such bucket")
            }
            guard let page = ObjectListing(String(decoding: bytes, as: UTF8.self)) else {
                throw .storeFailed(object: place, reason: "its answer to a listing cannot be read")
            }
            for object in page.objects {
                // Keys that it writes in another way than they were put would look like none.
                guard object.key.hasPrefix(whole) else {
                    throw .storeFailed(object: place, reason: "it lists objects that were not asked for")
                }
                objects.append(
                    BackupObject(
                        name: String(object.key.dropFirst(options.prefix.count)),
                        byteCount: object.byteCount,
                        modified: object.modified
                    )
                )
            }
            continuation = page.continuation
            if let continuation, !seen.insert(continuation).inserted {
                throw .storeFailed(object: place, reason: "its listing begins again where it was before")
            }
        } while continuation != nil
        return objects.sorted { $0.name < $1.name }
    }

    /// Makes a request, again when that may help.
    ///
    /// - Parameter name: of the object; nil for the bucket.
    /// - Returns: nil when there is no such object.
    private func call(
        _ method: String,
        _ name: String?,
        query: [(String, String)] = [],
        body: [UInt8] = [],
        limit: Int
    ) async throws(BackupError) -> [UInt8]? {
        let object = name.map { path(of: $0) } ?? place
        let began = ContinuousClock.now
        var attempt = 0
        while true {
            attempt += 1
            var failure = ""
            do {
                let response = try await http.execute(
                    request(method, name, query: query, body: body),
                    timeout: Self.timeout
                )
                self.isKnown.withLock { $0 = true }
                let status = response.status.code
                switch status {
                case 200..<300:
                    if let length = response.headers.first(name: "content-length").flatMap({ Int($0) }),
                        length > limit
                    {
                        throw BackupError.damaged(object: object, reason: "it has \(length) bytes")
                    }
                    return Array(try await self.body(of: response, limit: limit).readableBytesView)
                case 404: return nil
                default:
                    let text = (try? await self.body(of: response, limit: Self.reasonByteLimit))
                        .map(String.init(buffer:))
                    let reason = text.flatMap(Self.reason)
                    failure = "it answers \(status)" + (reason.map { ": \($0)" } ?? "")
                    guard Self.isPassing(status, reason) else {
                        throw BackupError.storeFailed(object: object, reason: failure)
                    }
                }
            } catch let error as BackupError {
                throw error
            } catch is NIOTooManyBytesError {
                throw .damaged(object: object, reason: "it has more than \(limit) bytes")
            } catch is BodyOverdue {
                failure = "its answer does not end"
            } catch {
                failure = "it cannot be reached: \(error)"
            }
            let (elapsed, isKnown) = (ContinuousClock.now - began, self.isKnown.withLock(\.self))
            guard let pause = retries.pause(after: attempt, elapsed: elapsed, isKnown: isKnown),
                (try? await Task.sleep(for: pause)) != nil
            else {
                throw .storeFailed(
                    object: object,
                    reason: failure + (attempt > 1 ? ", after \(attempt) attempts" : "")
                )
            }
        }
    }

    private struct BodyOverdue: Error {}

    /// All of an answer's body. The deadline of a request ends where its answer begins: what then comes drop by drop
    /// would come for ever.
    private func body(of response: HTTPClientResponse, limit: Int) async throws -> ByteBuffer {
        let length = response.headers.first(name: "content-length").flatMap { Int($0) } ?? limit
        let time = bodyTime + .seconds(max(0, min(length, limit)) / Self.leastBytesPerSecond)
        return try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await response.body.collect(upTo: limit) }
            group.addTask {
                try await Task.sleep(for: time)
                throw BodyOverdue()
            }
            guard let content = try await group.next() else { throw BodyOverdue() }
            return content
        }
    }

    /// Whether an answer may be another the next time.
    ///
    /// - Parameter reason: the code that its text names.
    private static func isPassing(_ status: UInt, _ reason: String?) -> Bool {
        switch status {
        case 408, 429: true
        // What came of a request came too slowly.
        case 400: reason == "RequestTimeout"
        // Another request for the same is under way.
        case 409: reason == "OperationAborted"
        // Such it never does.
        case 501, 505: false
        default: status >= 500
        }
    }

    private func request(
        _ method: String,
        _ name: String?,
        query: [(String, String)],
        body: [UInt8]
    ) -> HTTPClientRequest {
        let key = name.map { "/" + RequestSignature.encoded(options.prefix + $0, keepsSlash: true) } ?? ""
        let path = "/\(options.bucket)\(key)"
        let host = options.endpoint.drop { $0 != "/" }.drop { $0 == "/" }.prefix { $0 != "/" }
        let queryText = query.isEmpty ? "" : "?" + RequestSignature.encoded(query)
        var request = HTTPClientRequest(url: options.endpoint + path + queryText)
        request.method = HTTPMethod(rawValue: method)
        let headers = signature.headers(
            method: method,
            path: path,
            query: query,
            headers: [("host", String(host))],
            body: body,
            time: Self.now
        )
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if !body.isEmpty { request.body = .bytes(body) }
        return request
    }

    /// What the store's XML says of an error; nil when it is no such XML.
    private static func reason(_ text: String) -> String? {
        guard let start = text.firstRange(of: "<Code>"),
            let end = text[start.upperBound...].firstRange(of: "</Code>")
        else { return nil }
        return String(text[start.upperBound..<end.lowerBound].prefix(100))
    }

    private static var now: String {
        var clock = Glibc.time(nil)
        var parts = unsafe tm()
        unsafe gmtime_r(&clock, &parts)
        func padded(_ value: Int32, _ width: Int) -> String {
            let digits = "\(value)"
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return unsafe padded(parts.tm_year + 1900, 4) + padded(parts.tm_mon + 1, 2) + padded(parts.tm_mday, 2) + "T"
            + padded(parts.tm_hour, 2) + padded(parts.tm_min, 2) + padded(parts.tm_sec, 2) + "Z"
    }
}
