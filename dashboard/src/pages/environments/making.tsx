import { Modal, Select, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useGet } from '~/api/get'
import { to } from '~/layout/routes'
import { ErrorBox } from '~/parts'
import { Form } from '~/parts/files/Dialogs'
import { build } from './builds'
import { fault, fresh } from './states'
import { EXAMPLE, recipe } from './steps'

interface Props {
  opened: boolean
  onClose: () => void
  /** From steps instead of by hand. */
  builds: boolean
}

/** Asks for a new environment. */
export function Making({ opened, onClose, builds }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>{builds ? 'Build an environment' : 'New environment'}</strong>} size={builds ? 'lg' : undefined}>
      {opened && <Fields onClose={onClose} builds={builds} />}
    </Modal>
  )
}

function Fields({ onClose, builds }: { onClose: () => void; builds: boolean }) {
  const { data: bases } = useGet('/v1/environment/base')
  const [, go] = useLocation()
  const [values, setValues] = useState({ name: '', base: 'base/host', description: '', steps: '' })
  const set = (some: Partial<typeof values>) => setValues({ ...values, ...some })
  const { name, base, description, steps } = values
  const make = useAction(
    async () => {
      const asked = builds ? recipe(steps) : ''
      await post('/v1/environment', { name, base, description, token: fresh() })
      if (builds) build(name, asked)
    },
    {
      then: () => {
        onClose()
        go(to.environment(name))
      },
      quiet: true,
    },
  )
  const wrong = name && fault(name)
  return (
    <Form busy={make.busy} ready={Boolean(name) && !wrong && (!builds || Boolean(steps.trim()))} action={builds ? 'Build' : 'Create'} onClose={onClose} onSubmit={() => void make.run()}>
      <TextInput label="Name" value={name} onChange={(event) => set({ name: event.currentTarget.value })} error={wrong} autoComplete="off" data-autofocus />
      <Select label="Base" description="What it begins with" data={bases?.bases.map((one) => ({ value: one.name, label: `${one.name} (${one.distro}${one.python_version ? `, Python ${one.python_version}` : ''})` })) ?? ['base/host']} value={base} onChange={(chosen) => set({ base: chosen ?? 'base/host' })} allowDeselect={false} searchable />
      <TextInput label="Description" value={description} maxLength={2000} onChange={(event) => set({ description: event.currentTarget.value })} autoComplete="off" />
      {builds ? <Steps value={steps} onChange={(steps) => set({ steps })} /> : <p className="pc-dim">A setup server starts with it: change it in a terminal, then save it. Only what is saved is seen by jobs.</p>}
      <ErrorBox error={make.error} />
    </Form>
  )
}

/** The field for the steps of a build. */
export function Steps({ value, onChange }: { value: string; onChange: (steps: string) => void }) {
  return (
    <Textarea
      label="Steps"
      description="A line each: apt PACKAGES, pip REQUIREMENT, run COMMAND. As picloud env build takes them; commands run as root, in bash."
      placeholder={EXAMPLE}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      autosize
      minRows={6}
      maxRows={16}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      spellCheck={false}
    />
  )
}

/** Asks for the name of a clone. */
export function Clone({ path, opened, onClose }: { path: string; opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>{`Clone ${path}`}</strong>}>
      {opened && <CloneName path={path} onClose={onClose} />}
    </Modal>
  )
}

function CloneName({ path, onClose }: { path: string; onClose: () => void }) {
  const [, go] = useLocation()
  const [name, setName] = useState(`${path.slice(path.lastIndexOf('/') + 1)}_clone`.slice(0, 30))
  const wrong = fault(name)
  const make = useAction(() => post('/v1/environment/clone', { name: path, new_name: name, token: fresh() }), {
    said: 'The clone is there',
    then: () => {
      onClose()
      go(to.environment(name))
    },
    quiet: true,
  })
  return (
    <Form busy={make.busy} ready={!wrong} action="Clone" onClose={onClose} onSubmit={() => void make.run()}>
      <TextInput label="Name of the clone" value={name} onChange={(event) => setName(event.currentTarget.value)} error={wrong} autoComplete="off" data-autofocus />
      <ErrorBox error={make.error} />
    </Form>
  )
}
