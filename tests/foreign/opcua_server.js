// An OPC UA server of node-opcua's, as a process of its own: node opcua_server.js PORT [OPTION...].
//
// It tells its port when it listens, and then does what it is told, a JSON object a line, and answers each with a line:
// {"set": {NAME: value}}, {"status": {NAME: code}}, {"forget": 1} (all subscriptions), {"writes": 1} (what was written
// since the start and not refused), {"read": 1} (answer with what all variables are), {"deny": true} (every write, until
// false) and {"sessions": 1} (the number of clients).
//
// Options: swap (another namespace before the plant's), secure=FOLDER (its certificate.pem and key.pem), trusts=FOLDER
// (the clients it lets in; without it all), pki=FOLDER (where it keeps what it was shown), user=PASSWORD (of "op"),
// refuse=NAME (writes to it), open (also an endpoint without security).
"use strict";

// Its own words go where they cannot be taken for an answer.
console.log = console.info = console.warn = console.error;

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { Variant, DataType } = require("node-opcua-variant");
const { StatusCode, StatusCodes } = require("node-opcua-status-code");
const { standardUnits } = require("node-opcua-data-access");

const URI = "urn:test:bioreactor";
const OTHER = "urn:test:other";
const VARIABLES = {
    TT: ["Double", 37.0],
    SP: ["Double", 20.0],
    SINGLE: ["Float", 1.5],
    MODE: ["Int32", 1],
    COUNT: ["UInt32", 7],
    SMALL: ["SByte", -3],
    REMOTE: ["Boolean", true],
    WORD: ["String", "air"],
    STARTS: ["UInt32", 3],
    HEARTBEAT: ["UInt32", 4294967294],
    WD_TIME: ["Double", 60.0],
};

const port = Number(process.argv[2]);
const given = Object.fromEntries(process.argv.slice(3).map((option) => option.split(/=(.*)/s, 2)));
const written = [];
const variables = {};
let denying = false;

function tell(what) {
    process.stdout.write(JSON.stringify(what) + "\n");
}

function note(name, variable) {
    const plain = variable.writeAttribute.bind(variable);
    variable.writeAttribute = (context, request, callback) => {
        if (name === given.refuse || denying) {
            callback(null, StatusCodes.BadOutOfRange);
            return;
        }
        written.push([name, request.value.value.value]);
        plain(context, request, callback);
    };
}

function build(addressSpace) {
    const uris = "swap" in given ? [OTHER, URI] : [URI, OTHER];
    uris.forEach((uri) => addressSpace.registerNamespace(uri));
    const namespace = addressSpace.getNamespace(URI);
    const folder = namespace.addObject({
        organizedBy: addressSpace.rootFolder.objects,
        browseName: "BR",
        nodeId: "s=BR",
    });
    for (const [name, [dataType, value]] of Object.entries(VARIABLES)) {
        const about = { componentOf: folder, browseName: name, nodeId: `s=BR.${name}`, dataType, minimumSamplingInterval: 0 };
        const variable =
            name === "TT"
                ? namespace.addAnalogDataItem({
                      ...about,
                      engineeringUnits: standardUnits.degree_celsius,
                      engineeringUnitsRange: { low: -10, high: 60 },
                  })
                : namespace.addVariable(about);
        variable.setValueFromSource({ dataType: DataType[dataType], value });
        note(name, variable);
        variables[name] = variable;
    }
}

async function certificateManager() {
    const manager = new OPCUACertificateManager({
        rootFolder: given.pki,
        automaticallyAcceptUnknownCertificate: !("trusts" in given),
    });
    await manager.initialize();
    if ("trusts" in given) {
        for (const file of fs.readdirSync(given.trusts)) {
            await manager.trustCertificate(fs.readFileSync(path.join(given.trusts, file)));
        }
    }
    return manager;
}

async function start() {
    const options = {
        port,
        hostname: "127.0.0.1",
        resourcePath: "/plant",
        serverInfo: { applicationUri: "urn:test:server", productUri: "urn:test:node-opcua" },
        allowAnonymous: !("user" in given),
        userManager: { isValidUser: (name, password) => name === "op" && password === given.user },
        disableDiscovery: true,
        isAuditing: false,
        serverCapabilities: { maxSessions: 50 },
        securityPolicies: [SecurityPolicy.None],
        securityModes: [MessageSecurityMode.None],
        serverCertificateManager: await certificateManager(),
        userCertificateManager: await certificateManager(),
    };
    if ("secure" in given) {
        options.certificateFile = path.join(given.secure, "certificate.pem");
        options.privateKeyFile = path.join(given.secure, "key.pem");
        options.disableDiscovery = false;
        options.securityModes = [MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt];
        options.securityPolicies = [
            SecurityPolicy.Basic256Sha256,
            SecurityPolicy.Aes128_Sha256_RsaOaep,
            SecurityPolicy.Aes256_Sha256_RsaPss,
        ];
        if ("open" in given) {
            options.securityModes.push(MessageSecurityMode.None);
            options.securityPolicies.push(SecurityPolicy.None);
        }
    }
    const server = new OPCUAServer(options);
    await server.initialize();
    build(server.engine.addressSpace);
    await server.start();
    return server;
}

function obey(server, order) {
    for (const [name, value] of Object.entries(order.set ?? {})) {
        const dataType = DataType[VARIABLES[name][0]];
        variables[name].setValueFromSource(new Variant({ dataType, value }), StatusCodes.Good, new Date());
    }
    for (const [name, code] of Object.entries(order.status ?? {})) {
        const dataType = DataType[VARIABLES[name][0]];
        const status = StatusCodes[code] ?? StatusCodes.Bad;
        variables[name].setValueFromSource(new Variant({ dataType, value: VARIABLES[name][1] }), status, new Date());
    }
    if ("forget" in order) {
        for (const session of Object.values(server.engine._sessions)) {
            for (const id of Object.keys(session.publishEngine._subscriptions ?? {})) {
                session.deleteSubscription(Number(id));
            }
        }
    }
    denying = order.deny ?? denying;
    if ("read" in order) {
        const values = Object.entries(variables).map(([name, variable]) => [name, variable.readValue().value.value]);
        return Object.fromEntries(values);
    }
    if ("sessions" in order) {
        return server.engine.currentSessionCount;
    }
    return "writes" in order ? written : "done";
}

async function main() {
    const server = await start();
    tell(server.endpoints[0].port);
    for await (const line of readline.createInterface({ input: process.stdin })) {
        tell(obey(server, JSON.parse(line)));
    }
    process.exit(0);
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
