import { Anchor, Skeleton } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'wouter'
import type { ApiError } from '~/api/error'
import { useLive } from '~/api/live'
import { linked } from '~/layout/linked'
import { to, useSubject } from '~/layout/routes'
import { Copy, Empty, ErrorBox, Page, Status } from '~/parts'
import { Actions } from './actions'
import { Certificate } from './certificate'
import { Details } from './details'
import { Figures } from './figures'
import classes from './job.module.css'
import { Kin } from './kin'
import { Output } from './output'
import { Ports } from './ports'
import { Profile } from './profile'
import { Result } from './result'
import { useSamples } from './samples'
import { isOver, type Job, nameOf } from './shape'
import { Source } from './source'
import { Terminal } from './terminal'
import { Timeline } from './timeline'
import { Usage } from './usage'

const MOST = 999_999_999_999_999

/** All of one job: what it is, what it does, why it failed. */
export default function JobPage() {
  const subject = useSubject()
  const jid = /^\d{1,15}$/.test(subject) && Number(subject) <= MOST ? Number(subject) : undefined
  const { data, error } = useLive(jid === undefined ? null : '/v1/job/{jid}', { jid: jid ?? 0 })
  if (jid === undefined || error?.code === 'not_found') return <NoJob subject={subject} />
  if (!data) return <Coming jid={jid} error={error} />
  return <Known key={jid} job={data as unknown as Job} />
}

function crumbs() {
  const all = linked(to.jobs())
  return all ? [{ title: 'Jobs', href: all }] : []
}

function Known({ job }: { job: Job }) {
  const samples = useSamples(job)
  const [terminal, setTerminal] = useState(false)
  const name = nameOf(job)
  return (
    <Page
      title={name}
      crumbs={crumbs()}
      beside={<Status state={job.status} cause={job.failure?.cause ?? job.cause} />}
      about={<About job={job} />}
      actions={<Actions job={job} onTerminal={() => setTerminal(true)} />}
    >
      {job.waits_for && !isOver(job) && (
        <div role="status" className={classes.waits}>
          It does not begin: {job.waits_for}
        </div>
      )}
      {isOver(job) && <Certificate job={job} />}
      <Figures job={job} />
      <div className={classes.columns}>
        <div className={classes.main}>
          <Timeline job={job} />
          <Result job={job} />
          <Output job={job} />
          <Usage job={job} samples={samples} />
          <Profile job={job} />
          <Source job={job} />
        </div>
        <aside className={classes.side} aria-label="About the job">
          <Ports job={job} />
          <Details job={job} />
          <Kin job={job} />
        </aside>
      </div>
      <Terminal jid={job.jid} opened={terminal} onClose={() => setTerminal(false)} />
    </Page>
  )
}

/** Its number, and its label. */
function About({ job }: { job: Job }) {
  const href = job.label && linked(to.jobs({ label: job.label }))
  return (
    <span className={classes.about}>
      <span>
        job <b>{job.jid}</b>
      </span>
      <Copy text={String(job.jid)} label="Copy the job's number" />
      {job.label && (
        <span className={classes.label} title={job.label}>
          {href ? (
            <Anchor component={Link} href={href} inherit c="dimmed">
              {job.label}
            </Anchor>
          ) : (
            job.label
          )}
        </span>
      )}
    </span>
  )
}

function Coming({ jid, error }: { jid: number; error: ApiError | undefined }) {
  return (
    <Page title={`Job ${jid}`} crumbs={crumbs()}>
      <ErrorBox error={error} />
      {!error && (
        <>
          <Skeleton height={76} />
          <Skeleton height={120} />
          <Skeleton height={240} />
        </>
      )}
    </Page>
  )
}

function NoJob({ subject }: { subject: string }) {
  const all = linked(to.jobs())
  return (
    <Page title="No such job" crumbs={crumbs()}>
      <div className="pc-card">
        <Empty
          title={`There is no job ${subject.slice(0, 40)}`}
          more={
            <div className={classes.center}>
              <Anchor component={Link} href={all ?? '/'}>
                {all ? 'Go to the jobs' : 'Go to the home page'}
              </Anchor>
            </div>
          }
        >
          It was deleted, never existed, or belongs to another account: the menu of the account tells which one this is.
        </Empty>
      </div>
    </Page>
  )
}
