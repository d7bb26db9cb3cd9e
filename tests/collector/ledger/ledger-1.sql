BEGIN TRANSACTION;
CREATE TABLE agents (
	site TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	oldest_ms BIGINT NOT NULL, 
	PRIMARY KEY (site, agent)
);
INSERT INTO "agents" VALUES('lab','gw',1767229200000);
CREATE TABLE declared (
	site TEXT NOT NULL, 
	meter TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	PRIMARY KEY (site, meter)
);
INSERT INTO "declared" VALUES('lab','mains','499f94a5ed2d6f7269a53a45dd6ef7f7e8556e5e60e6405727a2dbc9d6b6a65c');
CREATE TABLE entries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	start_ms BIGINT NOT NULL, 
	end_ms BIGINT, 
	content TEXT NOT NULL, 
	signatory TEXT NOT NULL, 
	document TEXT, 
	corrects INTEGER, 
	entered_ms BIGINT NOT NULL, 
	UNIQUE (corrects), 
	FOREIGN KEY(corrects) REFERENCES entries (id)
);
INSERT INTO "entries" VALUES(1,'lab','reading','mains',1767225600000,NULL,'{"value": 3600000.0}','',NULL,NULL,1767398400000);
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('schema',1);
CREATE TABLE intervals (
	subject INTEGER NOT NULL, 
	start_ms BIGINT NOT NULL, 
	revision INTEGER NOT NULL, 
	end_ms BIGINT NOT NULL, 
	amount DOUBLE, 
	covered_ms BIGINT NOT NULL, 
	profile_ms BIGINT NOT NULL, 
	basis TEXT NOT NULL, 
	grade TEXT NOT NULL, 
	opening_ms BIGINT, 
	opening DOUBLE, 
	closing_ms BIGINT, 
	closing DOUBLE, 
	flags TEXT NOT NULL, 
	feed TEXT NOT NULL, 
	final BOOLEAN NOT NULL, 
	computed_ms BIGINT NOT NULL, 
	PRIMARY KEY (subject, start_ms), 
	FOREIGN KEY(subject) REFERENCES subjects (id)
)
 WITHOUT ROWID

;
INSERT INTO "intervals" VALUES(1,1767225600000,0,1767226500000,10800000.0,900000,900000,'register','high',1767225600000,3600000.0,1767226500000,14400000.0,'bridged','gw/meter:mains/energy',1,1767398400000);
INSERT INTO "intervals" VALUES(1,1767226500000,0,1767227400000,10800000.0,900000,900000,'register','high',1767226500000,14400000.0,1767227400000,25200000.0,'bridged','gw/meter:mains/energy',1,1767398400000);
INSERT INTO "intervals" VALUES(1,1767227400000,0,1767228300000,10800000.0,900000,900000,'register','high',1767227400000,25200000.0,1767228300000,36000000.0,'bridged','gw/meter:mains/energy',1,1767398400000);
INSERT INTO "intervals" VALUES(1,1767228300000,0,1767229200000,10800000.0,900000,900000,'register','high',1767228300000,36000000.0,1767229200000,46800000.0,'bridged','gw/meter:mains/energy',0,1767398400000);
CREATE TABLE jumps (
	subject INTEGER NOT NULL, 
	feed TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	before_ms BIGINT NOT NULL, 
	PRIMARY KEY (subject, feed, at_ms), 
	FOREIGN KEY(subject) REFERENCES subjects (id)
);
CREATE TABLE marks (
	site TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	name TEXT NOT NULL, 
	start_ms BIGINT NOT NULL, 
	end_ms BIGINT NOT NULL, 
	generation BIGINT NOT NULL, 
	first_ms BIGINT NOT NULL, 
	last_ms BIGINT NOT NULL, 
	PRIMARY KEY (site, scope, name, start_ms, end_ms)
)
 WITHOUT ROWID

;
INSERT INTO "marks" VALUES('lab','agent','gw',1767230100000,1767231000000,0,1767398400000,1767398400000);
CREATE TABLE methods (
	site TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	resource TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	method TEXT NOT NULL, 
	PRIMARY KEY (site, agent, resource, quantity)
);
INSERT INTO "methods" VALUES('lab','gw','meter:mains','energy','register');
CREATE TABLE revisions (
	subject INTEGER NOT NULL, 
	start_ms BIGINT NOT NULL, 
	revision INTEGER NOT NULL, 
	end_ms BIGINT NOT NULL, 
	amount DOUBLE, 
	covered_ms BIGINT NOT NULL, 
	profile_ms BIGINT NOT NULL, 
	basis TEXT NOT NULL, 
	grade TEXT NOT NULL, 
	opening_ms BIGINT, 
	opening DOUBLE, 
	closing_ms BIGINT, 
	closing DOUBLE, 
	flags TEXT NOT NULL, 
	feed TEXT NOT NULL, 
	final BOOLEAN NOT NULL, 
	computed_ms BIGINT NOT NULL, 
	replaced_ms BIGINT NOT NULL, 
	PRIMARY KEY (subject, start_ms, revision), 
	FOREIGN KEY(subject) REFERENCES subjects (id)
);
CREATE TABLE subjects (
	id INTEGER NOT NULL, 
	site TEXT NOT NULL, 
	name TEXT NOT NULL, 
	commodity TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (site, name)
);
INSERT INTO "subjects" VALUES(1,'lab','mains','electricity');
CREATE INDEX entries_of ON entries (site, kind, subject, start_ms);
CREATE INDEX provisional ON intervals (subject) WHERE final = 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('entries',1);
COMMIT;
