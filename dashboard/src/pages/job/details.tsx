import { Anchor } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Copy, format, Section } from '~/parts'
import classes from './job.module.css'
import type { Job } from './shape'
import { Fold } from './text'

/** With what it was submitted. */
export function Details({ job }: { job: Job }) {
  const { attributes: given, digests, origin } = job
  const made = MADE[origin.kind]
  return (
    <Section title="Settings">
      <div className={`pc-card ${classes.facts}`}>
        <dl>
          <Row name="Environment">{job.env && <To href={linked(to.environment(job.env))}>{job.env}</To>}</Row>
          <Row name="Cores">
            {job.cores} × {job.core_type}
            {job.reserved && ', reserved'}
          </Row>
          <Row name="Memory allowed">{job.memory.limit != null && format.bytes(job.memory.limit)}</Row>
          <Row name="Priority">{job.priority}</Row>
          <Row name="Max. runtime">{given.max_runtime_ms ? format.duration(given.max_runtime_ms) : 'no limit'}</Row>
          <Row name="Retries">{given.retries ? `${given.retries}` : undefined}</Row>
          <Row name="Volumes">{job.vol.length > 0 && job.vol.join(', ')}</Row>
          <Row name="Variables">{given.env_names?.length ? <code className={classes.cut}>{given.env_names.join(', ')}</code> : undefined}</Row>
          <Row name="Secrets">{given.secrets?.length ? given.secrets.join(', ') : undefined}</Row>
          <Row name="Label">{job.label && <To href={linked(to.jobs({ label: job.label }))}>{job.label}</To>}</Row>
          <Row name={made?.[0] ?? 'Made by'}>{origin.kind && <To href={made && linked(made[1](origin.name ?? ''))}>{origin.name || origin.kind}</To>}</Row>
          <Row name="Submission">
            {job.submission}
            {(job.count ?? 1) > 1 && `, ${format.count(job.position + 1)} of ${format.count(job.count ?? 0)}`}
          </Row>
        </dl>
        <Fold title="Digests">
          <dl>
            <Digest name="Function" value={digests.function} />
            <Digest name="Environment" value={digests.environment} />
            {digests.modules.map((one) => (
              <Digest key={one} name="Module" value={one} />
            ))}
            <Row name="Pickled by Python">{digests.python}</Row>
          </dl>
        </Fold>
      </div>
    </Section>
  )
}

const MADE: Record<string, [string, (name: string) => string]> = {
  attachment: ['Queue', to.queue],
  cron: ['Cron', () => '/cron'],
  rest: ['REST address', () => '/rest'],
  environment: ['Setup of', to.environment],
}

function To({ href, children }: { href: string | undefined; children: ReactNode }) {
  return href ? (
    <Anchor component={Link} href={href} inherit>
      {children}
    </Anchor>
  ) : (
    children
  )
}

/** Nothing where there is nothing to say. */
function Row({ name, children }: { name: string; children?: ReactNode }) {
  if (children === undefined || children === null || children === false || children === '') return null
  return (
    <div className={classes.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Digest({ name, value }: { name: string; value: string }) {
  if (!value) return null
  return (
    <div className={classes.fact}>
      <dt>{name}</dt>
      <dd className={classes.digest}>
        <code title={value}>{value.slice(0, 16)}…</code>
        <Copy text={value} label={`Copy the digest: ${name.toLowerCase()}`} />
      </dd>
    </div>
  )
}
